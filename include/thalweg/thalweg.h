/* thalweg/thalweg.h - everything: generative modelling with flows. */
#ifndef THALWEG_THALWEG_H
#define THALWEG_THALWEG_H

#include <thalweg/adjoint.h>
#include <thalweg/base.h>
#include <thalweg/coupling.h>
#include <thalweg/data.h>
#include <thalweg/edit.h>
#include <thalweg/eval.h>
#include <thalweg/exec.h>
#include <thalweg/flow.h>
#include <thalweg/gradient.h>
#include <thalweg/graph.h>
#include <thalweg/import.h>
#include <thalweg/mesh.h>
#include <thalweg/nn.h>
#include <thalweg/sde.h>
#include <thalweg/smiles.h>
#include <thalweg/solve.h>
#include <thalweg/steer.h>
#include <thalweg/tokens.h>
#include <thalweg/train.h>

#endif
