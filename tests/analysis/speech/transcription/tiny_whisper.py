"""Writes a Whisper model of a megabyte that says one sentence, whatever it hears.

It has the architecture of a real one (one layer each way, 64 wide) with weights set by hand, so it
runs through faster-whisper and CTranslate2 like any other:

- what comes next depends on the position alone, so it says the words of its sentence in turn;
- asked for the language, it says English;
- its cross attention looks at one place after the other, so that word times come out where
  `word_times` says.
"""

from __future__ import annotations

import json
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WIDTH = 64
ENCODER_FRAMES = 1500
POSITIONS = 448
FIRST_WORD_S, WORD_S = 0.5, 0.4
PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
LANGUAGES = ("<|en|>", "<|ko|>")


def word_times(words: int) -> list[tuple[float, float]]:
    """When, after the start of a clip, each word of its sentence begins and ends (about)."""
    return [(FIRST_WORD_S + WORD_S * n, FIRST_WORD_S + WORD_S * (n + 1)) for n in range(words)]


def write_tiny_whisper(folder: Path, sentence: str, *, multilingual: bool = True) -> Path:
    """A model folder as faster-whisper wants it."""
    folder.mkdir(parents=True)
    words = [" " + word for word in sentence.split()]
    tokens = _tokens(words)
    if multilingual:
        tokens.append("")  # by this CTranslate2 knows it
    spec = WhisperSpec(1, 1, 1, 1)
    _encoder(spec.encoder)
    _decoder(spec.decoder, tokens, words, multilingual=multilingual)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokens.index(language) for language in LANGUAGES]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_size": 80, "n_fft": 400, "hop_length": 160, "chunk_length": 30})
    )
    assert ctranslate2.contains_model(str(folder))
    return folder


def _tokens(words: list[str]) -> list[str]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    spelled = [word.replace(" ", "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}") for word in words]
    return [
        *letters,
        *dict.fromkeys(word for word in spelled if word not in letters),
        "<|endoftext|>",
        "<|startoftranscript|>",
        *LANGUAGES,
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
        *(f"<|{step * 0.02:.2f}|>" for step in range(1501)),
    ]


def _tokenizer(tokens: list[str]) -> Tokenizer:
    end = tokens.index("<|endoftext|>")
    model = models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token in tokens[end:] if token]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return tokenizer


def _encoder(encoder) -> None:
    """Deaf: what comes out is where each frame is, as a point on half a circle."""
    _constant(encoder.conv1, (WIDTH, 80, 3))
    _constant(encoder.conv2, (WIDTH, WIDTH, 3))
    places = np.zeros((ENCODER_FRAMES, WIDTH), dtype=np.float32)
    places[:, :2] = _on_circle(np.arange(ENCODER_FRAMES))
    places[:, 2:4] = -places[:, :2]
    encoder.position_encodings.encodings = places
    _plain_norm(encoder.layer_norm)
    _silent_layer(encoder.layer[0])


def _decoder(decoder, tokens: list[str], words: list[str], *, multilingual: bool) -> None:
    prompt = len(PROMPT) if multilingual else 2  # of an English one: start, no timestamps
    decoder.embeddings.weight = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    positions = np.zeros((POSITIONS, WIDTH), dtype=np.float32)
    positions[np.arange(WIDTH), np.arange(WIDTH)] = 1.0
    decoder.position_encodings.encodings = positions
    _plain_norm(decoder.layer_norm)
    weight = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    spelled = [word.replace(" ", "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}") for word in words]
    for number, token in enumerate([*spelled, "<|endoftext|>"]):
        weight[tokens.index(token), prompt - 1 + number] = 1.5
    weight[tokens.index("<|endoftext|>"), prompt + len(words) :] = 1.5
    weight[tokens.index("<|en|>"), 0] = 1.5
    decoder.projection.weight = weight
    layer = decoder.layer[0]
    _silent_layer(layer)
    _plain_norm(layer.attention.layer_norm)
    query, keys_values, out = layer.attention.linear
    said = np.arange(WIDTH) - (prompt - 1)
    frames = np.clip((FIRST_WORD_S + WORD_S * (said + 0.5)) * 50, 0, ENCODER_FRAMES - 1)
    _constant(query, (WIDTH, WIDTH))
    query.weight[:2, :] = 2000 * _on_circle(frames).T
    # the norm before it turns a 1 among zeros into a large number among small negative ones
    below = (1 / WIDTH) / np.sqrt((1 / WIDTH) * (1 - 1 / WIDTH))
    query.bias = np.asarray(below * query.weight.sum(axis=1), dtype=np.float32)
    _constant(keys_values, (2 * WIDTH, WIDTH))
    keys_values.weight[:2, :2] = np.eye(2)
    _constant(out, (WIDTH, WIDTH))


def _on_circle(frames: np.ndarray) -> np.ndarray:
    angles = np.pi * np.asarray(frames) / ENCODER_FRAMES
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _silent_layer(layer) -> None:
    """Adds nothing to what goes through."""
    _plain_norm(layer.self_attention.layer_norm)
    _constant(layer.self_attention.linear[0], (3 * WIDTH, WIDTH))
    _constant(layer.self_attention.linear[1], (WIDTH, WIDTH))
    _plain_norm(layer.ffn.layer_norm)
    _constant(layer.ffn.linear_0, (WIDTH, WIDTH))
    _constant(layer.ffn.linear_1, (WIDTH, WIDTH))


def _constant(linear, shape: tuple[int, ...]) -> None:
    linear.weight = np.zeros(shape, dtype=np.float32)
    linear.bias = np.zeros(shape[0], dtype=np.float32)


def _plain_norm(norm) -> None:
    norm.gamma = np.ones(WIDTH, dtype=np.float32)
    norm.beta = np.zeros(WIDTH, dtype=np.float32)
