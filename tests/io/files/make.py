"""Writes the NumPy files that test_npy.c reads; run once, with NumPy."""
import numpy as np

x = np.arange(6, dtype="<f8").reshape(2, 3) / 4
y = np.arange(3, dtype="<i4")
np.save("x.npy", x)
np.save("x_fortran.npy", np.asfortranarray(x))
np.savez("stored.npz", x=x)
np.savez_compressed("deflated.npz", x=x, y=y, zeros=np.zeros((1000, 50)))
