"""Models in memory against what PyTorch itself computes from them. Skipped where torch and transformers are missing."""

import copy
import gc
import pathlib
import threading

import numpy
import pytest

import tilewise
from conftest import CHECKPOINTS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ONE_CORE = {"replicas": 1, "pin": False}
TEXTS = [
    "where is my parcel",
    "refund",
    "black shoes, size 42 and a usb-c cable (2-pack) for my phone",
    "the red shirt with the blue shoes and the black case in size xxl and a refund for the parcel order",
]
PAIRS = [("red shoe", "red shoes"), ("steel mug", "usb cable"), ("a phone case", "the black case of my phone")]
FP32 = {"rtol": 0, "atol": 2e-4}


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(CHECKPOINTS / "bert_classifier")


@pytest.fixture
def classifier():
    return transformers.BertForSequenceClassification.from_pretrained(CHECKPOINTS / "bert_classifier")


@pytest.fixture
def encoder():
    return transformers.BertModel.from_pretrained(CHECKPOINTS / "bert")


@torch.inference_mode()
def in_evaluation(model, batch):
    return copy.deepcopy(model).eval()(**batch)


def state_of(model):
    """All that a caller could see of a model."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return tensors, model.config.to_dict(), model.training, {name: p.requires_grad for name, p in model.named_parameters()}


def assert_unchanged(model, state):
    tensors, *others = state_of(model)
    assert others == list(state[1:])
    assert tensors.keys() == state[0].keys()
    assert all(torch.equal(tensors[name], before) for name, before in state[0].items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_classifier_keeps_its_signature_and_its_logits(classifier, tokenizer, precision):
    classifier.train()
    state = state_of(classifier)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = in_evaluation(classifier, batch).logits
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, precision=precision, **ONE_CORE)
    output = compiled(**batch)
    assert_unchanged(classifier, state)
    # bf16: as tests/parity/tiny_models_test.py.
    tolerance = FP32 if precision == "fp32" else {"rtol": 0.15, "atol": 0.15}
    torch.testing.assert_close(output.logits, expected, **tolerance)
    assert output[0] is output.logits is output["logits"] and output[:1] == output.to_tuple()
    assert compiled(batch["input_ids"], batch["attention_mask"], return_dict=False)[0].equal(output.logits)
    labels = [classifier.config.id2label[int(best)] for best in output.logits.argmax(1)]
    assert [answer.label for answer in compiled.predict("classification", TEXTS)] == labels


@pytest.mark.parametrize("folder", ["distilbert_classifier", "roberta_classifier"])
def test_every_family(folder):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(CHECKPOINTS / folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINTS / folder)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    forward = tilewise.compile(model, tokenizer=tokenizer, precision="fp32", **ONE_CORE).as_torch()
    torch.testing.assert_close(forward(**batch).logits, in_evaluation(model, batch).logits, **FP32)


def test_padding_left_or_right(classifier, tokenizer):
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, **ONE_CORE)
    right = tokenizer(TEXTS, padding=True, return_tensors="pt")
    left = tokenizer(TEXTS, padding=True, padding_side="left", return_tensors="pt")
    assert not left["input_ids"].equal(right["input_ids"])
    logits = compiled(**right).logits
    assert compiled(**left).logits.equal(logits)
    narrow = {name: tensor.int() for name, tensor in left.items()}
    assert compiled(**{**narrow, "attention_mask": narrow["attention_mask"].bool()}).logits.equal(logits)
    for row, text in enumerate(TEXTS):
        assert compiled(**tokenizer(text, return_tensors="pt")).logits[0].equal(logits[row])


def test_a_big_batch_is_as_small_ones_bit_for_bit(classifier, tokenizer):
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, replicas=2, pin=False)
    big = tokenizer(TEXTS * 100, padding=True, return_tensors="pt")
    logits = compiled(**big).logits
    for first in range(0, 400, 100):
        part = {name: tensor[first : first + 100] for name, tensor in big.items()}
        assert compiled(**part).logits.equal(logits[first : first + 100])
    found = []
    threads = [threading.Thread(target=lambda: found.append(compiled(**big).logits)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(other.equal(logits) for other in found)


def test_the_text_gives_the_same_bit_for_bit(classifier, tokenizer):
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, **ONE_CORE)
    logits = compiled(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    answers = compiled.predict("classification", TEXTS, logits=True)
    assert logits.tolist() == [list(answer.logits) for answer in answers]


def test_a_bare_encoder_is_an_embedding(encoder, tokenizer):
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    hidden = in_evaluation(encoder, batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(2)
    expected = (hidden * mask).sum(1) / mask.sum(1)
    compiled = tilewise.compile(encoder, tokenizer=tokenizer, precision="fp32", **ONE_CORE)
    torch.testing.assert_close(compiled(**batch).sentence_embedding, expected, **FP32)


def test_an_encoder_with_heads(encoder, tokenizer, tmp_path):
    torch.manual_seed(5)
    hidden = encoder.config.hidden_size
    heads = {"intent": torch.nn.Linear(hidden, 3), "duplicate": torch.nn.Linear(hidden, 1, bias=False)}
    tasks = [
        {"name": "intent", "kind": "multiclass", "input": "text", "pooling": "cls", "labels": ["order", "refund", "other"]},
        {"name": "duplicate", "kind": "binary", "input": "pair", "pooling": "mean", "labels": ["duplicate"]},
        {"name": "vector", "kind": "embedding", "input": "text", "pooling": "mean"},
    ]
    path = tmp_path / "model.tw"
    compiled = tilewise.compile(encoder, path, tokenizer=tokenizer, heads=heads, tasks=tasks, precision="fp32", **ONE_CORE)
    assert list(compiled.tasks) == ["intent", "duplicate", "vector"] and path.is_file()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = heads["intent"](in_evaluation(encoder, batch).last_hidden_state[:, 0])
    torch.testing.assert_close(compiled.as_torch("intent")(**batch).logits, expected, **FP32)
    pairs = tokenizer(*map(list, zip(*PAIRS)), padding=True, return_tensors="pt")
    mask = pairs["attention_mask"].unsqueeze(2)
    with torch.inference_mode():
        pooled = (in_evaluation(encoder, pairs).last_hidden_state * mask).sum(1) / mask.sum(1)
        expected = heads["duplicate"](pooled)
    torch.testing.assert_close(compiled.as_torch("duplicate")(**pairs).logits, expected, **FP32)
    with pytest.raises(tilewise.InvalidArgumentError, match="one of intent, duplicate, vector"):
        compiled(**batch)


def test_exits_are_heads_that_token_ids_do_not_take(encoder, tokenizer):
    torch.manual_seed(11)
    heads = {name: torch.nn.Linear(encoder.config.hidden_size, 3) for name in ("intent", "early")}
    task = {"name": "intent", "kind": "multiclass", "input": "text", "pooling": "cls", "labels": ["order", "refund", "other"]}
    tasks = [{**task, "exits": [{"after_layer": 1, "head": "early", "confidence": 0.34}]}]
    compiled = tilewise.compile(encoder, tokenizer=tokenizer, heads=heads, tasks=tasks, precision="fp32", **ONE_CORE)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    layers = in_evaluation(encoder, {**batch, "output_hidden_states": True}).hidden_states
    with torch.inference_mode():
        first, last = heads["early"](layers[1][:, 0]), heads["intent"](layers[-1][:, 0])
    torch.testing.assert_close(compiled(**batch).logits, last, **FP32)
    answers = compiled.predict("intent", TEXTS, logits=True)
    torch.testing.assert_close(torch.tensor([answer.logits for answer in answers]), first, **FP32)


def test_labels_and_tasks_of_a_classifier(classifier, tokenizer):
    count = classifier.config.num_labels
    labels = [f"label {i}" for i in range(count)]
    state = state_of(classifier)
    assert tilewise.compile(classifier, tokenizer=tokenizer, labels=labels, **ONE_CORE).tasks["classification"].labels == tuple(
        labels
    )
    tasks = [{"name": "kinds", "kind": "multilabel", "input": "pair", "labels": labels, "max_tokens": 20}]
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, tasks=tasks, precision="fp32", **ONE_CORE)
    assert_unchanged(classifier, state)
    assert (compiled.tasks["kinds"].input, compiled.tasks["kinds"].max_tokens) == ("pair", 20)
    batch = tokenizer(*map(list, zip(*PAIRS)), padding=True, return_tensors="pt")
    torch.testing.assert_close(compiled(**batch).logits, in_evaluation(classifier, batch).logits, **FP32)


def test_an_adapter_is_merged_in_a_copy(classifier, tokenizer):
    peft = pytest.importorskip("peft")
    torch.manual_seed(7)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"], task_type="SEQ_CLS", use_dora=True)
    model = peft.get_peft_model(classifier, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    state = state_of(model)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = in_evaluation(model, batch).logits
    with model.disable_adapter():
        assert not torch.allclose(in_evaluation(model, batch).logits, expected, atol=1e-2)
    compiled = tilewise.compile(model, tokenizer=tokenizer, precision="fp32", **ONE_CORE)
    assert_unchanged(model, state)
    torch.testing.assert_close(compiled(**batch).logits, expected, **FP32)


def test_half_precision_and_calibration(classifier, tokenizer):
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = in_evaluation(classifier, batch).logits
    compiled = tilewise.compile(
        classifier.to(torch.bfloat16),
        tokenizer=tokenizer,
        precision="int8",
        calibration={"classification": TEXTS * 10},
        **ONE_CORE,
    )
    # As tests/parity/tiny_models_test.py, and weights that were rounded to bf16 before.
    torch.testing.assert_close(compiled(**batch).logits, expected, rtol=0.2, atol=0.2)


def test_a_tokenizer_that_was_used_and_one_of_the_tokenizers_library(classifier, tokenizer):
    tokenizer(TEXTS, padding="max_length", truncation=True, max_length=5)  # leaves its settings in the tokenizer
    first, second = (
        tilewise.compile(classifier, tokenizer=given, **ONE_CORE).predict("classification", TEXTS, logits=True)
        for given in (tokenizer, tokenizer.backend_tokenizer)
    )
    assert first == second
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, **ONE_CORE)
    assert compiled(**batch).logits.tolist() == [list(answer.logits) for answer in first]


def test_sentence_transformers(tokenizer, tmp_path):
    st = pytest.importorskip("sentence_transformers")
    model = st.SentenceTransformer(str(CHECKPOINTS / "sentence_transformer"), device="cpu")
    expected = model.encode(TEXTS, convert_to_numpy=True)
    compiled = tilewise.compile(model, precision="fp32", **ONE_CORE)
    found = numpy.array([answer.embedding for answer in compiled.predict("embedding", TEXTS)])
    numpy.testing.assert_allclose(found, expected, **FP32)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    numpy.testing.assert_allclose(compiled(**batch).sentence_embedding, expected, **FP32)

    cross = st.CrossEncoder(str(CHECKPOINTS / "cross_encoder"), device="cpu")
    compiled = tilewise.compile(cross, precision="fp32", **ONE_CORE)
    lefts, rights = map(list, zip(*PAIRS))
    numpy.testing.assert_allclose(compiled.score("classification", lefts, rights), cross.predict(PAIRS), **FP32)


def test_the_temporary_artifact_goes_with_the_model(classifier, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    compiled = tilewise.compile(classifier, tokenizer=tokenizer, **ONE_CORE)
    assert pathlib.Path(compiled.path).is_file()
    forward = compiled.as_torch()
    del compiled
    assert forward(**tokenizer("refund", return_tensors="pt")).logits.shape[0] == 1
    del forward
    gc.collect()
    assert not any(tmp_path.iterdir())
    with pytest.raises(tilewise.InvalidArgumentError, match="int4"):
        tilewise.compile(classifier, tokenizer=tokenizer, precision="int4")
    assert not any(tmp_path.iterdir())


def test_a_module_among_modules(classifier, tokenizer):
    forward = tilewise.compile(classifier, tokenizer=tokenizer, **ONE_CORE).as_torch().eval().to("cpu")
    assert not list(forward.parameters()) and "multiclass" in repr(forward)
    empty = torch.zeros((0, 4), dtype=torch.int64)
    assert forward(empty).logits.shape == (0, classifier.config.num_labels)
    logits = forward(input_ids=torch.full((1, 4), 7), output_attentions=False, labels=None).logits
    logits += 1  # the caller's


IDS = torch.full((2, 4), 7)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"input_ids": IDS, "labels": torch.tensor([0, 1])}, NotImplementedError, "labels; expected None; found Tensor"),
        ({"input_ids": IDS, "output_hidden_states": True}, NotImplementedError, "output_hidden_states"),
        ({"input_ids": IDS.tolist()}, TypeError, "input_ids; expected torch.Tensor; found list"),
        ({"input_ids": IDS.to("meta")}, ValueError, "input_ids; expected cpu; found meta"),
        ({"input_ids": IDS.float()}, ValueError, "input_ids; expected int64 or int32"),
        ({"input_ids": IDS, "attention_mask": IDS[:1]}, ValueError, "attention_mask; expected 2 x 4; found 1 x 4"),
        ({"input_ids": IDS * 1000}, ValueError, "sequence 0, token 0.*found 7000"),
    ],
)
def test_wrong_batches_say_what_is_wrong(model, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        model.as_torch("intent")(**arguments)
    assert isinstance(caught.value, tilewise.Error)


def heads_of(outputs):
    tasks = [{"name": "intent", "kind": "multiclass", "input": "text", "pooling": "cls", "labels": ["a", "b"]}]
    return {"heads": {"intent": torch.nn.Linear(32, outputs)}, "tasks": tasks}


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"tokenizer": None}, ValueError, "no tokenizer .at BertForSequenceClassification"),
        ({"tokenizer": "bert"}, TypeError, "tokenizer of this type.*str"),
        ({"labels": ["a"]}, ValueError, "labels do not fit the head .at labels; expected .*; found 1"),
        ({"labels": ["a"], "tasks": []}, ValueError, "twice"),
        ({"backbone": "/somewhere"}, ValueError, "backbone; expected None"),
        (heads_of(3), ValueError, "does not fit its labels.*intent; expected 2 outputs x 32 inputs; found 3 x 32"),
        ({"heads": heads_of(2)["heads"]}, ValueError, "need their tasks"),
        ({**heads_of(2), "heads": {}}, ValueError, "has no head .at tasks, intent"),
        ({**heads_of(2), "tasks": []}, ValueError, "has no task .at heads, intent"),
        ({**heads_of(2), "heads": {"intent": "x"}}, TypeError, "one linear layer.*str"),
        ({"tasks": [{"name": "x"}]}, ValueError, "BertForSequenceClassification/tasks.json"),
        ({"tasks": [{"name": object()}]}, TypeError, "as in tasks.json"),
        ({"tasks": ["intent"]}, TypeError, "list of dicts; found str"),
    ],
)
def test_what_does_not_fit_is_told_before_weights_are_written(classifier, tokenizer, monkeypatch, change, error, message):
    monkeypatch.setattr(type(classifier), "save_pretrained", lambda *_: pytest.fail("weights were written"))
    with pytest.raises(error, match=message) as caught:
        tilewise.compile(classifier, **{"tokenizer": tokenizer, **change})
    assert isinstance(caught.value, tilewise.Error)


def test_unknown_models_are_refused_by_name(classifier, encoder, tokenizer, monkeypatch):
    with pytest.raises(tilewise.WrongTypeError, match="torch.nn.modules.linear.Linear"):
        tilewise.compile(torch.nn.Linear(2, 2))
    with pytest.raises(tilewise.WrongTypeError, match="builtins.int"):
        tilewise.compile(7)
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=200, n_embd=8, n_layer=1, n_head=1))
    monkeypatch.setattr(type(gpt), "save_pretrained", lambda *_: pytest.fail("weights were written"))
    with pytest.raises(tilewise.UnsupportedError, match="GPT2LMHeadModel/config.json.*found GPT2LMHeadModel"):
        tilewise.compile(gpt, tokenizer=tokenizer)
    encoder.resize_token_embeddings(10)
    with pytest.raises(tilewise.InvalidInputError, match="vocabulary.*expected at most 10 tokens; found"):
        tilewise.compile(encoder, tokenizer=tokenizer)
    with pytest.raises(tilewise.InvalidInputError, match="bert.embeddings.word_embeddings.weight.*meta device"):
        tilewise.compile(classifier.to("meta"), tokenizer=tokenizer)
    with pytest.raises(tilewise.InvalidArgumentError, match="A folder says this itself .at labels"):
        tilewise.compile(CHECKPOINTS / "bert_classifier", labels=["a"])


def test_a_weight_that_is_no_number_is_named(classifier, tokenizer):
    with torch.no_grad():
        classifier.bert.encoder.layer[0].output.dense.weight[3, 4] = torch.nan
    with pytest.raises(tilewise.InvalidInputError, match="BertForSequenceClassification/model.safetensors.*output.dense"):
        tilewise.compile(classifier, tokenizer=tokenizer)
