"""Writes the pictures that test_picture.c reads; run once, with Pillow. Pixel (y, x), channel c of all of them is the
byte 10 y + 20 x + 40 c, 6 lines of 5 pixels: in the PNG files exactly, in the JPEG files nearly."""
import numpy as np
from PIL import Image

y, x, c = np.ogrid[:6, :5, :3]
rgb = (10 * y + 20 * x + 40 * c).astype(np.uint8)
grey = rgb[:, :, 0]
Image.fromarray(rgb).save("rgb.png")
Image.fromarray(grey).save("grey.png")
Image.fromarray(grey.astype(np.uint16) * 257).save("grey16.png")
Image.fromarray(rgb).quantize(64).save("palette.png")
alpha = np.where(x[:, :, 0] + 0 * y[:, :, 0] == 4, 0, 255).astype(np.uint8)  # the last column is clear: white
Image.fromarray(np.dstack([rgb, alpha])).save("rgba.png")
Image.fromarray(rgb).save("rgb.jpg", quality=98, subsampling=0)
Image.fromarray(rgb).save("progressive.jpg", quality=98, subsampling=0, progressive=True)
Image.fromarray(grey).save("grey.jpg", quality=98)
Image.fromarray(np.dstack([rgb, alpha]), "CMYK").save("cmyk.jpg")
k = np.arange(20)
x = (10 * k[:, None] + np.arange(18)).astype(np.uint8).reshape(20, 2, 3, 3)
np.savez_compressed("pictures.npz", labels=(10 * k) % 4, x=x)
