"""The network: one encoder, a linear head a task, and the heads of its exits."""
import contextlib
import copy
import json

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModel

from .batches import batches_by_length, collate
from .errors import TrainingError

# Families that `tilewise compile` takes: the linear layers of their blocks, by the last part of their names.
LINEAR_LAYERS = {
    "bert": ("query", "key", "value", "dense"),
    "roberta": ("query", "key", "value", "dense"),
    "xlm-roberta": ("query", "key", "value", "dense"),
    "camembert": ("query", "key", "value", "dense"),
    "electra": ("query", "key", "value", "dense"),
    "distilbert": ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"),
    "mpnet": ("q", "k", "v", "o", "dense"),
    "modernbert": ("Wqkv", "Wo", "Wi"),
}
WITH_POOLER = ("bert", "roberta", "xlm-roberta", "camembert", "mpnet")  # which no task uses
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "mlp_dropout", "embedding_dropout")

transformers.logging.set_verbosity_error()  # what is missing is reported below, as an error
transformers.logging.disable_progress_bar()


def read_config(folder):
    """The backbone's configuration, of a family that tilewise runs."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError("The backbone's configuration is not JSON", str(folder / "config.json"), "", str(error)) from None
    family = values.get("model_type")
    if family not in LINEAR_LAYERS:
        raise TrainingError("The architecture of the backbone is not supported", str(folder / "config.json") + ": model_type",
                            ", ".join(LINEAR_LAYERS), json.dumps(family), "docs/CHECKPOINTS.md lists what tilewise runs")
    return AutoConfig.from_pretrained(folder)


def positions_of(config):
    """Tokens that the encoder takes. The families of RoBERTa count their positions from behind the padding's."""
    offset = config.pad_token_id + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return config.max_position_embeddings - offset


def encoder_options(config):
    return {"add_pooling_layer": False} if config.model_type in WITH_POOLER else {}


def load_encoder(folder, dropout=0.0):
    """The encoder in fp32. Raises a TrainingError where the weights are not those of its configuration."""
    config = read_config(folder)
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
    try:
        encoder, report = AutoModel.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager",
                                                    output_loading_info=True, **encoder_options(config))
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError("The backbone cannot be loaded", str(folder), "weights that fit config.json", str(error).splitlines()[0]) from None
    if report["missing_keys"]:
        raise TrainingError("Weights of the backbone are missing", str(folder / "model.safetensors"), "all that config.json asks for",
                            "none for " + ", ".join(sorted(report["missing_keys"])[:3]))
    return encoder


def add_lora(encoder, lora, name):
    """name: of the backbone, for the adapter's card."""
    targets = lora.targets or LINEAR_LAYERS[encoder.config.model_type]
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, bias="none", target_modules=list(targets),
                        task_type="FEATURE_EXTRACTION")
    try:
        adapted = get_peft_model(encoder, config)
    except ValueError as error:
        raise TrainingError("LoRA finds none of its layers", "training.lora.targets", "names of linear layers", ", ".join(targets), str(error)) from None
    adapted.peft_config["default"].base_model_name_or_path = name
    return adapted


def check_model(recipe, config):
    """What a model of this recipe lacks, told without its weights."""
    if recipe.schedule.device != "cpu":
        check_device(recipe.schedule.device)
    for task in recipe.tasks:
        if task.exits and task.exits[-1] >= config.num_hidden_layers:
            raise TrainingError("An exit lies behind the last layer", f"tasks.{task.name}.exits",
                                f"layers from 1 to {config.num_hidden_layers - 1}", str(task.exits[-1]))
    if recipe.schedule.lora and recipe.schedule.lora.targets:
        with torch.device("meta"):
            encoder = AutoModel.from_config(config, **encoder_options(config))
        layers = {name for name, module in encoder.named_modules() if isinstance(module, torch.nn.Linear)}
        for target in recipe.schedule.lora.targets:
            if not any(name == target or name.endswith("." + target) for name in layers):
                raise TrainingError("LoRA does not find a layer", "training.lora.targets", "the last parts of names of linear layers: "
                                    + ", ".join(sorted({name.rsplit(".", 1)[-1] for name in layers})), target)


def check_device(name):
    if not torch.cuda.is_available():
        raise TrainingError("The device is not there", "training.device", "cpu", name, "PyTorch sees no CUDA device here")
    index = torch.device(name).index or 0
    if index >= torch.cuda.device_count():
        raise TrainingError("The device is not there", "training.device", f"cuda:0 to cuda:{torch.cuda.device_count() - 1}", name)


def outputs_of(task):
    return 1 if task.kind in ("binary", "regression") else len(task.labels)


def head_names(task):
    """The names of a task's heads in heads.safetensors: of its exits, then of its last layer."""
    return [f"{task.name}.exit{layer}" for layer in task.exits] + [task.name]


class MultiTaskModel(torch.nn.Module):
    """Logits are Linear(mean or first of the hidden states), after each exit's layer and after the last. Not thread-safe."""

    def __init__(self, encoder, tasks):
        super().__init__()
        config = encoder.config
        self.encoder, self.tasks = encoder, {task.name: task for task in tasks}
        self.positions = positions_of(config)
        self.has_types = getattr(config, "type_vocab_size", 0) > 1
        self.order = {name: i for i, name in enumerate(name for task in tasks for name in head_names(task))}
        self.heads = torch.nn.ModuleList(torch.nn.Linear(config.hidden_size, outputs_of(task)) for task in tasks for _ in head_names(task))
        for head in self.heads:
            torch.nn.init.normal_(head.weight, std=0.02)
            torch.nn.init.zeros_(head.bias)

    @property
    def device(self):
        return self.heads[0].weight.device

    def head(self, name):
        return self.heads[self.order[name]]

    def pooled(self, task, batch, precision="fp32"):
        """A collated batch -> a list of [rows, hidden], one an exit and the last layer's, in fp32."""
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        mask = batch["attention_mask"]
        inputs = {"input_ids": batch["input_ids"].masked_fill(mask == 0, self.encoder.config.pad_token_id), "attention_mask": mask}
        if self.has_types:
            inputs["token_type_ids"] = batch["token_type_ids"]
        bf16 = torch.autocast(self.device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
        with bf16:
            result = self.encoder(**inputs, output_hidden_states=bool(task.exits))
        states = [result.hidden_states[layer] for layer in task.exits] + [result.last_hidden_state]
        if task.pooling == "cls":
            return [state[:, 0].float() for state in states]
        mask = mask.unsqueeze(-1).float()
        return [(state.float() * mask).sum(1) / mask.sum(1) for state in states]

    def forward(self, task, batch, precision="fp32"):
        """A collated batch -> a list of [rows, outputs], one an exit and the last layer's."""
        return self.answers(task, self.pooled(task, batch, precision))

    def answers(self, task, vectors):
        """What pooled() or features() gives -> a list of [rows, outputs]."""
        return [self.head(name)(vector) for name, vector in zip(head_names(task), vectors)]


@torch.no_grad()
def features(model, task, rows, precision="fp32", size=64):
    """-> a list of [rows, hidden], one an exit and the last layer's, in the order of `rows`."""
    training = model.training
    model.eval()
    results = [torch.empty(len(rows), model.encoder.config.hidden_size, device=model.device) for _ in head_names(task)]
    for part in batches_by_length([len(row.ids) for row in rows], size):
        for result, vectors in zip(results, model.pooled(task, collate([rows[i] for i in part], model.positions), precision)):
            result[part] = vectors
    model.train(training)
    return results


@torch.no_grad()
def predict(model, task, rows, precision="fp32"):
    """-> a list of [rows, outputs] on the processor, one an exit and the last layer's, in the order of `rows`."""
    return [answers.cpu() for answers in model.answers(task, features(model, task, rows, precision))]


def merged(model):
    """A copy for evaluation with the LoRA in the encoder's own weights."""
    model = copy.deepcopy(model)
    if hasattr(model.encoder, "merge_and_unload"):
        model.encoder = model.encoder.merge_and_unload()
    return model.eval()
