"""The errors of training.

    ModelError
    +-- TrainingError
        +-- BadRecords         a line that cannot be used; names file and line
        +-- NoRecords          nothing is left to train on
        +-- BadPlan            settings that cannot be trained together
        +-- RunDiffers         the folder holds a run with other settings; names them
        +-- RunBusy            another process trains in the folder
        +-- TrainingDiverged   a loss or gradient is no number; the last checkpoint is kept
        +-- RunUnwritable      the run's folder cannot be written to

A full disk is models.errors.DiskFull; the last checkpoint is kept there too.
"""

from __future__ import annotations

from models.errors import ModelError


class TrainingError(ModelError):
    """Base of what stops a training run."""


class BadRecords(TrainingError): ...


class NoRecords(TrainingError): ...


class BadPlan(TrainingError): ...


class RunDiffers(TrainingError): ...


class RunBusy(TrainingError): ...


class TrainingDiverged(TrainingError): ...


class RunUnwritable(TrainingError): ...
