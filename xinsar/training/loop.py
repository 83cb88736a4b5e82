"""The loop of a training (torch, Lightning): crops, steps, looks at the validation scenes, what is kept."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from xinsar.models.registry import get_model
from xinsar.models.torch_runtime import probabilities
from xinsar.training import augment, checkpoints, losses, scores
from xinsar.training.channels import channels_of
from xinsar.training.config import Recipe
from xinsar.training.samples import Samples


class Crops(Dataset[Any]):
    """Crops of the samples after random changes: crop k is the same in every process and run."""

    def __init__(
        self, samples: Samples, card: Any, *, crop: tuple[int, int], number: int, seed: int, margin: int = 0
    ) -> None:
        self.samples, self.card, self.number, self.seed, self.margin = samples, card, number, seed, margin
        self.crop = min(crop[0], samples.shape[0]), min(crop[1], samples.shape[1])
        self.extremes = extremes_of(samples, card)
        self.needed = {augment.Input(c.name, c.track) for c in card.inputs if not (c.made or c.optional)}

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, k: int) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng([self.seed, k])
        y, x = (
            int(rng.integers(-self.margin, n - c + 1 + self.margin))
            for n, c in zip(self.samples.shape, self.crop, strict=True)
        )
        sample = self.samples.crop(int(rng.integers(len(self.samples))), (y, x), self.crop)
        inside = self.samples.inside((y, x), self.crop)
        both = np.concatenate([sample.fields, sample.weight[None], inside[None]])
        inputs = self.samples.inputs
        layers, both = augment.draw(rng, sample.layers, inputs, both, needed=self.needed)
        return channels_of(layers, inputs, self.card, self.extremes, inside=both[-1]), both[:-2], both[-2]


class Rest(Sampler[int]):
    """Numbers of the crops that are still to be shown, in order; as long as all, which is what Lightning counts."""

    def __init__(self, first: int, number: int) -> None:
        self.first, self.number = first, number

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.number))


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


def running_mean(decay: float) -> Callable[..., None]:
    """Return what moves a running mean toward new weights: faster at first, when it has seen few."""

    def move(means: Any, values: Any, seen: Any) -> None:
        kept = min(decay, (1 + int(seen)) / (10 + int(seen)))
        for mean, value in zip(means, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - kept)
            else:
                mean.copy_(value)

    return move


class Learner(lightning.LightningModule):
    """A network while it learns; ``mean`` holds the running mean of its weights."""

    def __init__(self, network: Any, recipe: Recipe, say: Callable[[str], object]) -> None:
        super().__init__()
        self.network, self.recipe, self.say = network, recipe, say
        decay = recipe.training.average
        average: Any = torch.optim.swa_utils
        self.mean = average.AveragedModel(network, multi_avg_fn=running_mean(decay), use_buffers=True)
        self.begin, self.found = time.monotonic(), dict[str, float]()

    @property
    def minutes(self) -> float:
        """Minutes of training so far, those before a resumption included."""
        return (time.monotonic() - self.begin) / 60

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        channels, targets, weight = batch
        terms = self._terms(self.network(_laid_out(channels)), targets, weight)
        self.log_dict({f"train_{name}": value for name, value in terms.items()}, on_step=True)
        return torch.stack(list(terms.values())).sum()

    def _terms(
        self, logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the loss, in float32 whatever the convolutions run in."""
        with torch.autocast(logits.device.type, enabled=False):
            return losses.loss_of(logits.float(), targets, weight, self.network.card.fields)

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the running mean of the weights."""
        self.mean.update_parameters(self.network)

    def validation_step(self, batch: Any, _: int) -> None:
        """Score a whole scene."""
        channels, targets, weight = batch
        channels = _laid_out(channels)
        terms = self._terms(self.mean.module(channels), targets, weight)
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
        """Keep the scores, the time and the recipe with the weights."""
        checkpoint |= {
            "found": dict(self.found),
            "minutes": self.minutes,
            "recipe": checkpoints.deciding(self.recipe),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting the time."""
        self.begin = time.monotonic() - 60 * checkpoint["minutes"]

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rate that rises and falls."""
        own = self.recipe.training
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=own.rate, weight_decay=own.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, own.rate, own.steps, pct_start=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class End(lightning.Callback):
    """Ends a training after its last step, or where time is up; either way with a look at the validation scenes."""

    def __init__(self, steps: int, minutes: float) -> None:
        self.steps, self.minutes, self.begin = steps, minutes, time.monotonic()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Stop where steps or minutes are used up."""
        late = self.minutes > 0 and time.monotonic() - self.begin > 60 * self.minutes
        if late or trainer.global_step >= self.steps:
            trainer.should_stop = True


class Whole(Dataset[Any]):
    """Whole scenes, unchanged, for validation; around each lies the padding that detection gives it."""

    def __init__(self, samples: Samples, card: Any, extremes: Mapping[Any, Any]) -> None:
        self.samples, self.card, self.extremes = samples, card, extremes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, k: int) -> tuple[Any, Any, Any]:
        rows, columns = self.samples.shape
        halo = -(-self.card.halo // self.card.multiple) * self.card.multiple
        corner, shape = (-halo, -halo), (rows + 2 * halo, columns + 2 * halo)
        sample, inside = self.samples.crop(k, corner, shape), self.samples.inside(corner, shape)
        channels = channels_of(sample.layers, self.samples.inputs, self.card, self.extremes, inside=inside)
        return channels, sample.fields, sample.weight


class Trained(NamedTuple):
    """What a training ends with."""

    network: Any
    """With its card; weights and threshold of the best look."""
    scores: dict[str, float]
    """On the validation scenes."""
    steps: int
    """After which the best look was."""
    minutes: float
    """Spent on all steps."""


def _laid_out(maps: torch.Tensor) -> torch.Tensor:
    """Return maps with channels innermost, as convolutions like them."""
    return maps.contiguous(memory_format=torch.channels_last)


def train(
    recipe: Recipe, samples: Mapping[str, Samples], *, resume: bool, say: Callable[[str], object]
) -> Trained:
    """Train by a recipe, from its last checkpoint where ``resume``; return the network of the best look."""
    own, folder = recipe.training, Path(recipe.out)
    last = checkpoints.last_of(recipe, resume=resume)
    if last is None:
        checkpoints.clear(folder)
    if own.threads:
        torch.set_num_threads(own.threads)
    lightning.seed_everything(own.seed, workers=True, verbose=False)
    network = get_model(recipe.model.name, **recipe.model.options)
    network.card = network.card.replace(**recipe.model.card)
    network.to(memory_format=torch.channels_last).train()
    learner = Learner(network, recipe, say)
    if last is None or not checkpoints.is_done(last, own):
        _learn(learner, samples, last)
    best = checkpoints.best_of(folder)
    learner.load_state_dict(best["state_dict"])
    found = {name: float(value) for name, value in best["found"].items()}
    kept = learner.mean.module.eval()
    kept.card = network.card.replace(threshold=found["threshold"], min_score=0.0, calibration=(1.0, 0.0))
    _draw(folder)
    end = torch.load(folder / checkpoints.LAST, weights_only=False, map_location="cpu")
    return Trained(kept, found, int(best["global_step"]), float(end["minutes"]))


def _learn(learner: Learner, samples: Mapping[str, Samples], last: Mapping[str, Any] | None) -> None:
    """Make the steps that are left; crops go on where they ended."""
    recipe, card = learner.recipe, learner.network.card
    own, folder = recipe.training, Path(recipe.out)
    number, first = own.steps * own.batch, 0 if last is None else int(last["global_step"]) * own.batch
    if first:
        learner.say(f"going on after step {first // own.batch} of {own.steps}")
    crops = Crops(samples["train"], card, crop=own.crop, number=number, seed=own.seed, margin=own.margin)
    scenes = Whole(samples["val"], card, crops.extremes)
    shown = DataLoader(
        crops,
        own.batch,
        sampler=Rest(first, number),
        num_workers=own.workers,
        persistent_workers=own.workers > 0,
    )
    with _quiet():
        _trainer(recipe, folder).fit(
            learner,
            shown,
            DataLoader(scenes, 4),
            ckpt_path=None if last is None else str(folder / checkpoints.LAST),
            weights_only=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning from saying what is not worth reading."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)


def _trainer(recipe: Recipe, folder: Path) -> Any:
    """Return Lightning's trainer with what it keeps and says."""
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    own = recipe.training
    kind = TensorBoardLogger if own.logger == "tensorboard" else CSVLogger
    best = ModelCheckpoint(folder, monitor="val_f1", mode="max", filename="best-{step}")
    last = ModelCheckpoint(folder, filename=checkpoints.LAST[:-5], enable_version_counter=False)
    stop = EarlyStopping("val_f1", patience=own.patience, mode="max")
    return lightning.Trainer(
        max_steps=own.steps,
        val_check_interval=min(own.every, own.steps),
        check_val_every_n_epoch=None,
        precision=own.precision,  # type: ignore[arg-type]
        logger=kind(str(folder), name="log"),
        callbacks=[End(own.steps, own.minutes), stop, best, last],  # the last one knows of the others
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=min(50, own.every),
        num_sanity_val_steps=0,
    )


def _draw(folder: Path) -> None:
    from xinsar.training.curve import learning_curve

    learning_curve(folder)
