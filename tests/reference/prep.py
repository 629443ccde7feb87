"""Writes tests/fixtures/prep: what Pillow, PyTorch, SciPy, transformers and SentencePiece answer.

    python prep.py [--slow-transformers DIR]

Needs numpy, pillow, torch, scipy, transformers >= 5, sentencepiece, tokenizers, safetensors.

Token ids: LISA pins transformers 4.31 and its slow LlamaTokenizer, which transformers 5 no longer
has. They are computed here from SentencePiece and the documented stripping rule (`slow_encode`).
With --slow-transformers, a folder that holds the unpacked wheel of transformers 4.31.0, that
tokenizer itself is run as well, and every row must agree.
"""

import argparse
import importlib
import io
import json
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "fixtures" / "prep"
ADDED = ["[SEG]", "<im_start>", "<im_end>"]

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
QUESTION = (
    "Are there any abnormalities present in the {}? "
    "If so, please output the defect segmentation result"
)


def noise(rng, width, height):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(name, tensors):
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, OUT / f"{name}.safetensors")


# --- pixels ---------------------------------------------------------------------------------


def resize_cases(rng):
    tensors = {}
    sizes = [
        ((37, 23), (16, 24)),
        ((19, 13), (51, 33)),
        ((32, 24), (32, 11)),
        ((32, 24), (9, 24)),
        ((200, 3), (7, 2)),
        ((3, 150), (5, 1)),
        ((1, 1), (5, 3)),
        ((13, 11), (13, 11)),
        ((61, 37), (1, 1)),
    ]
    for n, ((w, h), (new_w, new_h)) in enumerate(sizes):
        image = noise(rng, w, h)
        if n % 3 == 1:  # hard edges make bicubic overshoot on both sides
            image = np.where(image > 127, 255, 0).astype(np.uint8)
        tensors[f"{n}.in"] = image
        for name, kind in [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)]:
            resized = Image.fromarray(image).resize((new_w, new_h), kind)
            tensors[f"{n}.{name}"] = np.asarray(resized)
    save("resize", tensors)


def clip_cases(rng):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    def pad(image):  # LLaVA's expand2square
        width, height = image.size
        side = max(width, height)
        square = Image.new(image.mode, (side, side), (122, 116, 104))
        square.paste(image, ((side - width) // 2, (side - height) // 2))
        return square

    tensors = {}
    for n, (w, h, size) in enumerate([(41, 29, 20), (23, 50, 16), (12, 12, 18), (37, 36, 14), (101, 9, 10)]):
        array = noise(rng, w, h)
        image = Image.fromarray(array)
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}
        )
        tensors[f"{n}.in"] = array
        tensors[f"{n}.crop"] = processor(image, return_tensors="np")["pixel_values"][0].astype(np.float32)
        tensors[f"{n}.pad"] = processor(pad(image), return_tensors="np")["pixel_values"][0].astype(np.float32)
    save("clip", tensors)


def sam_cases(rng):
    mean = np.array([123.675, 116.28, 103.53], np.float32)
    std = np.array([58.395, 57.12, 57.375], np.float32)
    tensors = {}
    for n, (w, h, size) in enumerate([(41, 29, 20), (23, 50, 20), (32, 31, 16), (100, 3, 16), (9, 9, 20)]):
        array = noise(rng, w, h)
        scale = size / max(h, w)
        new_h, new_w = int(h * scale + 0.5), int(w * scale + 0.5)
        new_h, new_w = max(new_h, 1), max(new_w, 1)
        resized = np.asarray(Image.fromarray(array).resize((new_w, new_h), Image.BILINEAR))
        pixels = np.zeros((3, size, size), np.float32)
        pixels[:, :new_h, :new_w] = ((resized.astype(np.float32) - mean) / std).transpose(2, 0, 1)
        tensors[f"{n}.in"] = array
        tensors[f"{n}.pixels"] = pixels
        tensors[f"{n}.resized"] = np.array([new_w, new_h], np.int32)
    save("sam", tensors)


# --- masks ----------------------------------------------------------------------------------


def upscale_cases():
    import torch
    import torch.nn.functional as F

    torch.manual_seed(7)
    tensors = {}
    cases = [
        (32, 128, 43, 70),  # portrait
        (16, 64, 67, 41),  # landscape
        (12, 48, 48, 47),  # one row of padding
        (12, 48, 150, 3),  # one row of picture
        (16, 64, 1, 90),  # one column of picture
        (16, 64, 1, 1),
        (8, 32, 32, 32),  # nothing to do after the first step
    ]
    for n, (side, size, w, h) in enumerate(cases):
        logits = torch.randn(1, 1, side, side) * 5
        scale = size / max(h, w)
        new_h, new_w = max(int(h * scale + 0.5), 1), max(int(w * scale + 0.5), 1)
        up = F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)
        up = F.interpolate(up[..., :new_h, :new_w], (h, w), mode="bilinear", align_corners=False)
        tensors[f"{n}.logits"] = logits[0, 0].numpy()
        tensors[f"{n}.sizes"] = np.array([side, size, w, h, new_w, new_h], np.int32)
        tensors[f"{n}.out"] = up[0, 0].numpy()
    save("upscale", tensors)


def score_cases(rng):
    import torch
    import torch.nn.functional as F
    from scipy.ndimage import gaussian_filter

    tensors = {}
    for n, (w, h) in enumerate([(61, 47), (560, 5), (5, 3), (1, 1)]):
        small = torch.from_numpy(rng.random((1, 1, max(h // 9, 1), max(w // 9, 1)), dtype=np.float32))
        fine = F.interpolate(small, (h, w), mode="bicubic", align_corners=False).clamp(0, 1)
        grid = F.interpolate(fine, (518, 518), mode="bilinear", align_corners=False)[0, 0].numpy()
        smooth = gaussian_filter(grid, sigma=4, truncate=4.0, mode="reflect")
        ordered = np.sort(smooth.astype(np.float64).ravel())[::-1]
        tensors[f"{n}.map"] = fine[0, 0].numpy()
        top = ordered[: round(518 * 518 * 0.001)].mean()
        tensors[f"{n}.scores"] = np.array([ordered[0], top], np.float32)
    save("score", tensors)


# --- files ----------------------------------------------------------------------------------


def decode_cases(rng):
    w, h = 24, 16
    y, x = np.mgrid[0:h, 0:w]
    rgb = np.stack([x * 10, y * 15, 255 - x * 5 - y * 4], -1).astype(np.uint8)
    image = Image.fromarray(rgb)
    tensors = {}

    def case(name, picture, expected, **options):
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        tensors[f"{name}.file"] = np.frombuffer(buffer.getvalue(), np.uint8)
        tensors[f"{name}.rgb"] = np.asarray(expected.convert("RGB"))

    def reopened(picture, **options):
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        return Image.open(io.BytesIO(buffer.getvalue()))

    for name, options in [
        ("png", {"format": "PNG"}),
        ("bmp", {"format": "BMP"}),
        ("tiff", {"format": "TIFF", "compression": "tiff_lzw"}),
        ("webp", {"format": "WEBP", "lossless": True}),
    ]:
        case(name, image, image, **options)
    jpeg = {"format": "JPEG", "quality": 95, "subsampling": 0}
    case("jpeg", image, reopened(image, **jpeg), **jpeg)
    progressive = {**jpeg, "progressive": True}
    case("jpeg_progressive", image, reopened(image, **progressive), **progressive)
    grey = image.convert("L")
    case("grey_png", grey, grey, format="PNG")
    case("grey_jpeg", grey, reopened(grey, **jpeg), **jpeg)
    cmyk = image.convert("CMYK")
    case("cmyk_jpeg", cmyk, reopened(cmyk, **jpeg), **jpeg)

    # 16-bit grey; the right answer is the nearest of 256 levels.
    deep = rng.integers(0, 65536, (h, w), dtype=np.uint16)
    case("grey16_png", Image.fromarray(deep), Image.fromarray(np.rint(deep / 257).astype(np.uint8)), format="PNG")

    # 16-bit RGB, which Pillow cannot write: a PNG by hand.
    deep = rng.integers(0, 65536, (h, w, 3), dtype=np.uint16)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width, height, depth, colour, data):
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(data, 9))
            + chunk(b"IEND", b"")
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    tensors["rgb16_png.file"] = np.frombuffer(png(w, h, 16, 2, rows), np.uint8)
    tensors["rgb16_png.rgb"] = np.rint(deep / 257).astype(np.uint8)
    # Says 20,000 x 20,000, holds a few bytes.
    tensors["huge_png.file"] = np.frombuffer(png(20000, 20000, 8, 2, b"\0" * 100), np.uint8)

    # Transparency over white.
    alpha = rng.integers(0, 256, (h, w, 1), dtype=np.uint8)
    over = np.floor((rgb * (alpha / 255.0) + 255 * (1 - alpha / 255.0)) + 0.5).astype(np.uint8)
    rgba = Image.fromarray(np.concatenate([rgb, alpha], -1))
    case("alpha_png", rgba, Image.fromarray(over), format="PNG")
    case("alpha_webp", rgba, Image.fromarray(over), format="WEBP", lossless=True, exact=True)
    level = np.asarray(grey)[..., None]
    over = np.floor((level * (alpha / 255.0) + 255 * (1 - alpha / 255.0)) + 0.5).astype(np.uint8)
    la = Image.fromarray(np.concatenate([level, alpha], -1), mode="LA")
    case("grey_alpha_png", la, Image.fromarray(over[..., 0]), format="PNG")
    palette = image.quantize(16)
    transparent = np.asarray(palette.convert("RGB")).copy()
    transparent[np.asarray(palette) == 3] = 255
    case("palette_png", palette, Image.fromarray(transparent), format="PNG", transparency=3)

    # All eight EXIF orientations.
    from PIL import ImageOps

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {**jpeg, "exif": exif}
        upright = ImageOps.exif_transpose(reopened(image, **options))
        case(f"exif{orientation}_jpeg", image, upright, **options)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = image.transpose(Image.ROTATE_270)
    case("exif6_png", image, upright, format="PNG", exif=exif)
    case("exif6_webp", image, upright, format="WEBP", lossless=True, exif=exif)
    case("exif6_tiff", image, upright, format="TIFF", tiffinfo={0x0112: 6})
    one = Image.fromarray(np.array([[[9, 200, 77]]], np.uint8))
    case("one_pixel_png", one, one, format="PNG")
    save("decode", tensors)


# --- text -----------------------------------------------------------------------------------

CORPUS = """
Are there any abnormalities present in the capsule? If so, please output the defect segmentation result.
Are there any abnormalities present in the metal nut? If so, please output the defect segmentation result and provide description.
Are there any abnormalities present in the toy brick? If so, please output the defect segmentation result and provide impact analysis.
Are there any abnormalities present in the wood board? If so, please output the defect segmentation result and provide suggestion analysis.
It is. There is a long thin scratch at the upper left of the surface. It may weaken the part.
The surface shows a dark round dent near the centre. Replace the part and check the tool.
A normal capsule is smooth, evenly coloured and free of marks. No defect is visible.
A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.
USER: What is wrong with it? ASSISTANT: A crack of about 35 mm runs from the left edge to the hole in the middle.
USER: How should it be repaired? ASSISTANT: Grind the weld, clean it and weld it again; then test it with 20 bar of pressure.
"""


def token_texts():
    first = f"{SYSTEM} USER: <im_start>{{}}<im_end>\n"
    segment = first.format("") + QUESTION.format("capsule") + ". ASSISTANT: It is [SEG].</s>"
    return [
        "It is [SEG].",
        "It is [SEG] .",
        "It is[SEG].",
        segment,
        segment + "USER: How should it be repaired? ASSISTANT:",
        "USER: What is wrong with it? ASSISTANT:",
        "<im_start><im_end>\nWhat is wrong?",
        "<im_start> \t\n<im_end> \u00a0 What",
        "[SEG][SEG] [SEG]",
        "  two  spaces  ",
        " [SEG] ",
        "a </s> b",
        "a<unk> b <s>c",
        "</s>[SEG]</s> x",
        "[SEG]</s> x",
        "[[SEG]]",
        "<im_start><im_start",
        "line\nbreak\ttab",
        "Größe 5 µm, 20 °C",
        "日本語 🔩 ok",
        "e\u0301 n\u0303",
        "▁odd▁mark",
        "12345 3.5%",
        "",
        " ",
        "\n",
        "<0x41> [seg] <IM_START>",
        "\x1c[SEG]\x1f\u2003x",
    ]


def image_prompts():
    return [
        f"{SYSTEM} USER: <im_start><image><im_end>\n{QUESTION.format('capsule')}. ASSISTANT: It is [SEG].",
        f"{SYSTEM} USER: <im_start><image><im_end>\nA normal capsule is smooth. "
        f"{QUESTION.format('wood board')} and provide impact analysis. ASSISTANT: It is [SEG]. A dent.</s>",
        "<image>What is wrong?",
    ]


def slow_encode(sp, text):
    """PreTrainedTokenizer.tokenize of transformers 4.31 over SentencePiece."""
    base = {"<unk>": 0, "<s>": 1, "</s>": 2}
    ids = {**base, **{token: sp.get_piece_size() + n for n, token in enumerate(ADDED)}}
    pieces, rest = [], text
    while True:
        found = [(rest.find(token), -len(token), token) for token in ids if token in rest]
        if not found:
            pieces.append(rest)
            break
        at, _, token = min(found)
        pieces += [rest[:at], token]
        rest = rest[at + len(token) :]
    for n, piece in enumerate(pieces):
        if n % 2 and piece not in base:
            pieces[n - 1] = pieces[n - 1].rstrip()
            pieces[n + 1] = pieces[n + 1].lstrip()
    out = []
    for n, piece in enumerate(pieces):
        out += [ids[piece]] if n % 2 else (sp.encode(piece) if piece else [])
    return out


def real_slow_encode(folder, model_path, texts):
    """Runs transformers 4.31's own LlamaTokenizer, in a process of its own."""
    program = f"""
import json, sys, types
from unittest.mock import MagicMock
sys.path.insert(0, {str(folder)!r})
class Absent(Exception): pass
def module(name, **names):
    made = types.ModuleType(name); made.__dict__.update(names); sys.modules[name] = made; return made
module("transformers.dependency_versions_check", dep_version_check=lambda *a, **k: None)
module("requests.exceptions", HTTPError=Absent, ConnectionError=Absent, Timeout=Absent)
module("requests", HTTPError=Absent, exceptions=sys.modules["requests.exceptions"])
for name in ("huggingface_hub", "huggingface_hub.utils", "huggingface_hub.file_download"):
    mock = MagicMock(); mock.__version__ = "0.16"; mock.__path__ = []; mock.__spec__ = None
    for error in ("EntryNotFoundError", "GatedRepoError", "LocalEntryNotFoundError",
                  "RepositoryNotFoundError", "RevisionNotFoundError"):
        setattr(mock, error, type(error, (Exception,), {{}}))
    sys.modules[name] = mock
import transformers.utils.import_utils as available
available._torch_available = available._tokenizers_available = False
import transformers
assert transformers.__version__.startswith("4.31."), transformers.__version__
from transformers.models.llama.tokenization_llama import LlamaTokenizer
from transformers.tokenization_utils_base import AddedToken
AddedToken.__str__ = lambda token: token.content  # as in the tokenizers library, absent here
tokenizer = LlamaTokenizer({str(model_path)!r}, legacy=True)
tokenizer.sanitize_special_tokens()  # as from_pretrained does
tokenizer.add_tokens("[SEG]")
tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
texts = json.load(sys.stdin)
json.dump([tokenizer(text).input_ids[1:] for text in texts], sys.stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def text_cases(slow_transformers):
    import sentencepiece as spm
    from tokenizers import Tokenizer, decoders, models, normalizers
    from tokenizers import AddedToken

    generate_merges = importlib.import_module("transformers.tokenization_utils_base").generate_merges
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model"
        model = io.BytesIO()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS.strip().splitlines()),
            model_writer=model,
            model_type="bpe",
            vocab_size=600,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            num_threads=1,
            minloglevel=2,
        )
        path.write_bytes(model.getvalue())
        sp = spm.SentencePieceProcessor(model_file=str(path))
        texts = token_texts()
        prompts = image_prompts()
        halves = [half for prompt in prompts for half in prompt.split("<image>")]
        expected = [slow_encode(sp, text) for text in texts + halves]
        if slow_transformers:
            actual = real_slow_encode(slow_transformers, path, texts + halves)
            for text, ours, theirs in zip(texts + halves, expected, actual):
                assert ours == theirs, (text, ours, theirs)
            print(f"transformers 4.31 agrees on {len(actual)} texts")

    pieces = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    scores = {piece: sp.get_score(i) for piece, i in pieces.items()}
    tokenizer = Tokenizer(
        models.BPE(pieces, generate_merges(pieces, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ADDED])
    (OUT / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")

    split = len(texts)
    rows = [{"text": text, "ids": ids} for text, ids in zip(texts, expected)]
    for row in rows:
        # Only text without special tokens: SentencePiece knows nothing of the added ones.
        if max(row["ids"], default=0) < sp.get_piece_size() and not {0, 1, 2} & set(row["ids"]):
            row["decoded"] = sp.decode(row["ids"])
    images = []
    for n, prompt in enumerate(prompts):
        before, after = expected[split + 2 * n : split + 2 * n + 2]
        images.append({"text": prompt, "ids": [1, *before, -200, *after]})
    document = {"seg": sp.get_piece_size(), "texts": rows, "image_prompts": images}
    (OUT / "tokens.json").write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slow-transformers", type=Path)
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20240920)
    resize_cases(rng)
    clip_cases(rng)
    sam_cases(rng)
    upscale_cases()
    score_cases(rng)
    decode_cases(rng)
    text_cases(args.slow_transformers)
    for file in OUT.iterdir():
        file.chmod(0o644)
    print(f"{sum(f.stat().st_size for f in OUT.iterdir())} bytes in {OUT}")


if __name__ == "__main__":
    main()
