"""The training loop: batches of all tasks alternate at random, each one a step of the optimiser."""
import dataclasses
import hashlib
import json
import math
import os
import time

import torch
from tqdm import tqdm

from . import losses
from .batches import RowEncoder, batches, collate, generator, target_tensor
from .distill import check_teachers, digest_of, teach
from .errors import TrainingError
from .model import MultiTaskModel, add_lora, check_model, load_encoder, positions_of, predict, read_config
from .rows import check_every_label_occurs, read_rows, with_labels

EASY = 0.02  # a row whose last loss was under this has little left to teach


@dataclasses.dataclass
class TaskData:
    """Rows of one task, encoded. train has every pair in both orders where the task wants it; the others as they are given."""

    rows: list  # of Row: those of train
    train: list  # of Encoded
    train_swapped: list  # the same rows in the other order of their sides; empty without random_order
    labelled: int  # so many of train's rows have labels, the rest follow behind them with the teacher's answer alone
    valid: list  # a list of Encoded a file
    test: list
    out_of_scope_valid: list
    out_of_scope_test: list
    taught: torch.Tensor | None = None  # the teacher's logits of train, [rows, outputs]


def prepare(recipe, limit=None):
    """Reads and checks everything that a run needs -> (recipe with all labels, {task: TaskData}). limit: rows a file, to try a recipe."""
    config = read_config(recipe.backbone.folder)
    check_model(recipe, config)
    recipe = dataclasses.replace(recipe, tasks=tuple(with_labels(task) for task in recipe.tasks))
    encoder = RowEncoder(recipe.backbone.folder, config.vocab_size)
    if recipe.distillation:
        check_teachers(recipe)
    return recipe, {task.name: _prepare_task(recipe, task, encoder, config, limit) for task in recipe.tasks}


def _prepare_task(recipe, task, encoder, config, limit):
    if task.max_tokens > positions_of(config):
        raise TrainingError("The task is longer than the backbone", f"tasks.{task.name}.max_tokens", f"at most {positions_of(config)}", str(task.max_tokens))
    train = read_rows(task, task.train, limit=limit)
    if limit is None:
        check_every_label_occurs(task, train)
    more = recipe.distillation.unlabelled.get(task.name, ()) if recipe.distillation else ()
    all_rows = train + read_rows(task, more, labelled=False, limit=limit)

    def files(paths, labelled=True):
        return [encoder.encode(task, read_rows(task, [path], labelled, limit)) for path in paths]

    return TaskData(
        rows=all_rows,
        train=encoder.encode(task, all_rows),
        train_swapped=encoder.encode(task, all_rows, swapped=True) if task.random_order else [],
        labelled=len(train),
        valid=files(task.valid),
        test=files(task.test),
        out_of_scope_valid=files(task.out_of_scope_valid, False),
        out_of_scope_test=files(task.out_of_scope_test, False),
    )


def build_model(recipe):
    encoder = load_encoder(recipe.backbone.folder, recipe.schedule.dropout)
    if recipe.schedule.lora:
        encoder = add_lora(encoder, recipe.schedule.lora, recipe.backbone.package or recipe.backbone.folder.name)
    return MultiTaskModel(encoder, recipe.tasks).to(recipe.schedule.device)


def trained_state(model):
    """What training changes, by name."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


# What only finish() reads, and paths: rows and weights count by what they hold.
NOT_OF_A_RUN = ("train", "valid", "test", "out_of_scope_valid", "out_of_scope_test", "keep_in_scope", "refit_exits", "max_changed")


def fingerprint(recipe, data):
    """Of all that the trained weights depend on, but for the machine."""
    tasks = [{key: value for key, value in vars(task).items() if key not in NOT_OF_A_RUN} for task in recipe.tasks]
    teaching = recipe.distillation
    if teaching:
        teaching = [*map(digest_of, teaching.teachers)], teaching.weight, teaching.temperature, teaching.both_orders
    schedule = dataclasses.replace(recipe.schedule, device="")
    digest = hashlib.sha256(repr((recipe.backbone.sha256, schedule, tasks, teaching)).encode())
    for task_data in data.values():
        for rows in (task_data.train[: task_data.labelled], task_data.train[task_data.labelled :], *task_data.valid):
            digest.update(f"{len(rows)} rows".encode())
            for row in rows:
                digest.update(repr((row.ids, row.types, row.label)).encode())
    return digest.hexdigest()


class Run:
    """One training run in a folder; it goes on where a killed one of the same recipe stopped, with the same result."""

    def __init__(self, recipe, data, folder, progress=True):
        self.recipe, self.data, self.folder, self.progress = recipe, data, folder, progress
        self.fingerprint = fingerprint(recipe, data)
        schedule = recipe.schedule
        torch.set_num_threads(schedule.threads)
        torch.manual_seed(schedule.seed)
        self.model = build_model(recipe)
        heads = {id(parameter) for parameter in self.model.heads.parameters()}
        self.body = [p for p in self.model.parameters() if p.requires_grad and id(p) not in heads]
        groups = [{"params": self.body, "lr": schedule.learning_rate}, {"params": list(self.model.heads.parameters()), "lr": schedule.head_learning_rate}]
        self.peaks = [group["lr"] for group in groups]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay, betas=(0.9, 0.98), fused=True)
        self.last_loss = {name: torch.full((len(d.train),), math.inf) for name, d in data.items()}
        self.mean = {name: value.clone() for name, value in trained_state(self.model).items()} if schedule.average else None
        self.log, self.best, self.stale, self.epoch = [], -math.inf, 0, 0

    def train(self):
        """-> the log, one entry an epoch. The best epoch's weights are in the model then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        if self.recipe.distillation and self.epoch < self.recipe.schedule.epochs:
            teach(self.recipe, self.data, self.folder, self.fingerprint)
        schedule = self.recipe.schedule
        while self.epoch < schedule.epochs and not (schedule.patience and self.stale >= schedule.patience):
            self.log.append(self._train_epoch())
            self.epoch += 1
            if self.epoch == schedule.epochs or self.epoch % schedule.validate_every == 0:
                self._validate()
            self._save()
            print(json.dumps(self.log[-1]), flush=True)
        self.load_best()
        return self.log

    def load_best(self):
        """The weights of the best epoch so far."""
        self._resume()
        if not (self.folder / "best.pt").exists():
            raise TrainingError("The run has no validated epoch", str(self.folder), "best.pt", "nothing", "Train first")
        self._load(torch.load(self.folder / "best.pt", map_location="cpu"))

    def _plan(self, rng):
        """The batches of an epoch: (task, indices, flags of the pairs that are swapped)."""
        plan = []
        for task in self.recipe.tasks:
            data, last = self.data[task.name], self.last_loss[task.name]
            skip = task.skip_easy if self.epoch else 0.0
            chosen = [i for i in range(len(data.train)) if last[i] > EASY or rng.random() >= skip]
            if task.sampling < 1:
                chosen = rng.sample(chosen, min(len(chosen), max(1, round(task.sampling * len(chosen)))))
            swapped = [bool(data.train_swapped) and rng.random() < 0.5 for _ in data.train]
            lengths = [len(row.ids) for row in data.train]
            plan += [(task, part, [swapped[i] for i in part]) for part in batches(chosen, lengths, task.batch_size, rng)]
        rng.shuffle(plan)
        return plan

    def _train_epoch(self):
        start, sums, tokens = time.perf_counter(), {}, 0
        processor = time.process_time()
        torch.manual_seed(self.recipe.schedule.seed + 1_000_003 * (self.epoch + 1))  # dropout
        plan = self._plan(generator(self.recipe.schedule.seed, self.epoch))
        self.model.train()
        bar = tqdm(plan, f"epoch {self.epoch + 1}/{self.recipe.schedule.epochs}", disable=not self.progress, mininterval=1, unit="step")
        for step, (task, part, swapped) in enumerate(bar):
            self._set_rates((self.epoch + step / len(plan)) / self.recipe.schedule.epochs)
            batch_tokens, loss = self._step(task, part, swapped)
            tokens += batch_tokens
            count, total = sums.get(task.name, (0, 0.0))
            sums[task.name] = count + len(part), total + loss
            bar.set_postfix_str(f"{tokens / (time.perf_counter() - start):.0f} tokens/s")
        return {"epoch": self.epoch + 1, "seconds": round(time.perf_counter() - start, 1), "cpu_seconds": round(time.process_time() - processor, 1),
                "tokens": tokens, "loss": {name: round(total / count, 4) for name, (count, total) in sums.items()}, "rows": {name: count for name, (count, _) in sums.items()}}

    def _set_rates(self, progress):
        """Linear warm-up, then linear decay to zero."""
        warmup = self.recipe.schedule.warmup
        scale = min(1.0, progress / warmup if warmup else 1.0) * (1 - progress)
        for group, peak in zip(self.optimiser.param_groups, self.peaks):
            group["lr"] = peak * scale

    def _step(self, task, part, swapped):
        """-> tokens, and the sum of the rows' losses at full depth."""
        data = self.data[task.name]
        rows = [(data.train_swapped if flag else data.train)[i] for i, flag in zip(part, swapped)]
        batch = collate(rows, self.model.positions)
        answers = self.model(task, batch, self.recipe.schedule.precision)
        final = self._row_losses(task, answers[-1], rows, part)
        self._refuse_nan(task, final, rows)
        loss = final
        for answer in answers[:-1]:  # half from the label, half from the full depth, which is what an exit is to agree with
            taught = losses.teacher_loss(task, answer, answers[-1].detach())
            loss = loss + task.exit_weight / 2 * (self._row_losses(task, answer, rows, part) + taught)
        (task.loss_weight * loss.mean()).backward()
        torch.nn.utils.clip_grad_norm_(self.body, self.recipe.schedule.gradient_limit)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.mean is not None:
            self._update_mean()
        self.last_loss[task.name][part] = final.detach().cpu()
        return int(batch["attention_mask"].sum()), final.sum().item()

    def _row_losses(self, task, logits, rows, part):
        """From the label, the teacher, or both. [rows]"""
        data, distillation = self.data[task.name], self.recipe.distillation
        if data.taught is None:
            return losses.label_loss(task, logits, target_tensor(task, rows).to(logits.device))
        share = torch.tensor([1.0 if i >= data.labelled else distillation.weight for i in part], device=logits.device)
        total = share * losses.teacher_loss(task, logits, data.taught[part].to(logits.device), distillation.temperature)
        has_label = [k for k, i in enumerate(part) if i < data.labelled]
        if has_label:
            labelled = losses.label_loss(task, logits[has_label], target_tensor(task, [rows[k] for k in has_label]).to(logits.device))
            total = total.index_add(0, torch.tensor(has_label, device=logits.device), (1 - share[has_label]) * labelled)
        return total

    def _refuse_nan(self, task, row_losses, rows):
        if not row_losses.isfinite().all():
            row = rows[int((~row_losses.isfinite()).nonzero()[0])]
            raise TrainingError("The loss is not a number", f"epoch {self.epoch + 1}, task {task.name}, row {row.where}", "a finite loss", "NaN or infinity",
                                "Lower training.learning_rate, or look at the row's label; the last epoch's checkpoint is kept")

    @torch.no_grad()
    def _update_mean(self):
        for name, value in trained_state(self.model).items():
            self.mean[name].lerp_(value, 1 - self.recipe.schedule.average)

    def _validate(self):
        """Scores each task; the best mean so far is kept in best.pt."""
        last = {name: value.clone() for name, value in trained_state(self.model).items()}
        self._load(self.mean or {})
        scores = {}
        for task in self.recipe.tasks:
            groups = [(predict(self.model, task, rows, self.recipe.schedule.precision), target_tensor(task, rows)) for rows in self.data[task.name].valid]
            depths = [losses.score(task, [(answers[depth], target) for answers, target in groups]) for depth in range(len(task.exits) + 1)]
            scores[task.name] = round(depths[-1], 4)
            self.log[-1].setdefault("valid_by_exit", {})[task.name] = [round(value, 4) for value in depths]
        self.log[-1]["valid"] = scores
        mean = sum(scores.values()) / len(scores)
        if mean > self.best:
            self.best, self.stale = mean, 0
            _write(trained_state(self.model), self.folder / "best.pt")
        else:
            self.stale += 1
        self._load(last)

    def _save(self):
        state = {"fingerprint": self.fingerprint, "epoch": self.epoch, "weights": trained_state(self.model), "mean": self.mean,
                 "optimiser": self.optimiser.state_dict(), "last_loss": self.last_loss, "log": self.log, "best": self.best, "stale": self.stale}
        _write(state, self.folder / "checkpoint.pt")

    def _resume(self):
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu")
        if state["fingerprint"] != self.fingerprint:
            raise TrainingError("The output folder holds a run of another recipe", str(path), "a run of this recipe and its data", "another", "Choose another --out, or remove it")
        self._load(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.mean = state["mean"] and {name: value.to(self.model.device) for name, value in state["mean"].items()}
        self.last_loss, self.log = state["last_loss"], state["log"]
        self.epoch, self.best, self.stale = state["epoch"], state["best"], state["stale"]

    def _load(self, weights):
        self.model.load_state_dict(weights, strict=False)


def _write(value, path):
    """Whole or not at all."""
    torch.save(value, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
