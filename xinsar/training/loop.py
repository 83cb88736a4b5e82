"""The loop of a training (torch, Lightning): crops, steps, looks at the validation scenes, what is kept."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from xinsar.models.registry import get_model
from xinsar.models.torch_runtime import probabilities
from xinsar.training import augment, losses, scores
from xinsar.training.channels import channels_of
from xinsar.training.config import Recipe
from xinsar.training.samples import Samples

LAST = "last.ckpt"


class Crops(Dataset[Any]):
    """Crops of the samples after random changes: crop k is the same in every process and run."""

    def __init__(self, samples: Samples, card: Any, *, crop: tuple[int, int], number: int, seed: int) -> None:
        self.samples, self.card, self.number, self.seed = samples, card, number, seed
        self.crop = min(crop[0], samples.shape[0]), min(crop[1], samples.shape[1])
        self.extremes = extremes_of(samples, card)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, k: int) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng([self.seed, k])
        corner = tuple(
            int(rng.integers(n - c + 1)) for n, c in zip(self.samples.shape, self.crop, strict=True)
        )
        sample = self.samples.crop(int(rng.integers(len(self.samples))), (corner[0], corner[1]), self.crop)
        both = np.concatenate([sample.fields, sample.weight[None]])
        layers, both = augment.draw(rng, sample.layers, self.samples.inputs, both)
        return channels_of(layers, self.samples.inputs, self.card, self.extremes), both[:-1], both[-1]


def extremes_of(samples: Samples, card: Any) -> dict[Any, tuple[float, float]]:
    """Return the least and largest value of inputs that are normalised by them."""
    wanted = {(c.name, c.track) for c in card.inputs if c.transform == "minmax" and not c.made}
    found = {}
    for k, each in enumerate(samples.inputs):
        if tuple(each) in wanted:
            layers = [samples[n].layers[k] for n in range(len(samples))]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # an input that is missing everywhere
                found[each] = float(np.nanmin(layers)), float(np.nanmax(layers))
    return found


class Learner(lightning.LightningModule):
    """A network while it learns; ``mean`` holds the running mean of its weights."""

    def __init__(self, network: Any, recipe: Recipe, say: Callable[[str], object]) -> None:
        super().__init__()
        self.network, self.recipe, self.say = network, recipe, say
        decay = recipe.training.average
        average: Any = torch.optim.swa_utils
        self.mean = average.AveragedModel(
            network, multi_avg_fn=average.get_ema_multi_avg_fn(decay), use_buffers=True
        )

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        channels, targets, weight = batch
        terms = losses.loss_of(self.network(channels), targets, weight, self.network.card.fields)
        self.log_dict({f"train_{name}": value for name, value in terms.items()}, on_step=True)
        return torch.stack(list(terms.values())).sum()

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the running mean of the weights."""
        self.mean.update_parameters(self.network)

    def validation_step(self, batch: Any, _: int) -> None:
        """Score a whole scene."""
        channels, targets, weight = batch
        terms = losses.loss_of(self.mean.module(channels), targets, weight, self.network.card.fields)
        self.log("val_loss", torch.stack(list(terms.values())).sum(), batch_size=len(channels))
        fields = probabilities(self.mean.module, channels)
        self._matches += [
            scores.of_scene(f.float().cpu().numpy(), t.cpu().numpy(), w.cpu().numpy(), self.network.card)
            for f, t, w in zip(fields, targets, weight, strict=True)
        ]

    def on_validation_epoch_start(self) -> None:
        """Forget the scenes of the last look."""
        self._matches: list[Any] = []

    def on_validation_epoch_end(self) -> None:
        """Log the best object F1 over thresholds, and keep the threshold."""
        self.found = scores.summary(self._matches)
        self.log_dict({f"val_{name}": value for name, value in self.found.items()})
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.found.items())
        self.say(f"step {self.global_step}: {told}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the scores with the weights."""
        checkpoint["found"] = dict(getattr(self, "found", {}))

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rate that rises and falls."""
        own = self.recipe.training
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=own.rate, weight_decay=own.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, own.rate, own.steps, pct_start=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Clock(lightning.Callback):
    """Ends a training after so many minutes."""

    def __init__(self, minutes: float) -> None:
        self.minutes, self.begin = minutes, time.monotonic()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Stop where time is up."""
        if self.minutes and time.monotonic() - self.begin > 60 * self.minutes:
            trainer.should_stop = True


class Whole(Dataset[Any]):
    """Whole scenes, unchanged, for validation."""

    def __init__(self, samples: Samples, card: Any, extremes: Mapping[Any, Any]) -> None:
        self.samples, self.card, self.extremes = samples, card, extremes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, k: int) -> tuple[Any, Any, Any]:
        sample = self.samples[k]
        channels = channels_of(sample.layers, self.samples.inputs, self.card, self.extremes)
        return channels, sample.fields, sample.weight


def train(
    recipe: Recipe, samples: Mapping[str, Samples], *, resume: bool, say: Callable[[str], object]
) -> tuple[Any, dict[str, float]]:
    """Train by a recipe; return the network with its card, and its scores on the validation scenes."""
    own, folder = recipe.training, Path(recipe.out)
    lightning.seed_everything(own.seed, workers=True, verbose=False)
    network = get_model(recipe.model.name, **recipe.model.options)
    network.card = network.card.replace(**recipe.model.card)
    learner = Learner(network, recipe, say)
    crops = Crops(samples["train"], network.card, crop=own.crop, number=own.steps * own.batch, seed=own.seed)
    scenes = Whole(samples["val"], network.card, crops.extremes)
    trainer = _trainer(recipe, folder)
    last = folder / LAST
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="lightning")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(
            learner,
            DataLoader(crops, own.batch, num_workers=own.workers, persistent_workers=own.workers > 0),
            DataLoader(scenes, 4),
            ckpt_path=str(last) if resume and last.is_file() else None,
            weights_only=False,
        )
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)
    learner.load_state_dict(best["state_dict"])
    found = {name: float(value) for name, value in best["found"].items()}
    kept = learner.mean.module.eval()
    kept.card = network.card.replace(threshold=found["threshold"])
    _draw(folder)
    return kept, found


def _trainer(recipe: Recipe, folder: Path) -> Any:
    """Return Lightning's trainer with what it keeps and says."""
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    own = recipe.training
    kind = TensorBoardLogger if own.logger == "tensorboard" else CSVLogger
    keep = ModelCheckpoint(folder, monitor="val_f1", mode="max", filename="best-{step}", save_last=True)
    return lightning.Trainer(
        max_steps=own.steps,
        val_check_interval=min(own.every, own.steps),
        check_val_every_n_epoch=None,
        precision=own.precision,  # type: ignore[arg-type]
        logger=kind(str(folder), name="log"),
        callbacks=[Clock(own.minutes), keep, EarlyStopping("val_f1", patience=own.patience, mode="max")],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=50,
        num_sanity_val_steps=0,
    )


def _draw(folder: Path) -> None:
    from xinsar.training.curve import learning_curve

    learning_curve(folder)
