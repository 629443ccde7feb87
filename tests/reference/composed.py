"""The whole pass at nano size: two pictures and token ids in, mask logits out (§1, §5, §6).

Computed in f64 from the parts of the other files. Output names are those of
`vmad inspect --trace`, so the batch dimension is dropped.
"""

import torch

import clip
import llama
import ltc
import projectors
import sam
from common import Weights, check_close, rounded_normal, save_model_fixture

IMAGE_SENTINEL = -200
SEG_ID = 297

CONFIG = {
    "clip": {
        "image_size": 56,
        "patch_size": 14,
        "d_model": 32,
        "n_layers": 4,
        "n_heads": 4,
        "d_ff": 32,
        "layer_norm_eps": 1e-5,
        "taps": [1, 2, 3, 4],
    },
    "projector": {
        "kind": "ltc",
        "grid": 4,
        "d_vision": 32,
        "d_text": 64,
        "n_levels": 4,
        "stride": 2,
        "n_heads": 4,
        "n_points": 4,
        "n_learner_blocks": 1,
        "n_res_blocks": 1,
        "d_ff": 32,
        "se_dim": 8,
        "inject_heads": 4,
        "fusion": "residual",
        "d_hidden": 64,
    },
    "llm": {
        "vocab_size": 300,
        "d_model": 64,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "d_ff": 48,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_positions": 128,
        "tie_embeddings": False,
    },
    "sam": {
        "image_size": 64,
        "patch_size": 16,
        "d_model": 24,
        "n_layers": 2,
        "n_heads": 3,
        "d_ff": 32,
        "window": 3,
        "global_blocks": [1],
        "d_out": 32,
        "layer_norm_eps": 1e-6,
        "decoder_heads": 4,
        "decoder_layers": 2,
        "decoder_ff": 48,
        "n_mask_tokens": 4,
        "cross_downsample": 2,
    },
}


def init(weights, config):
    clip.init(weights, config["clip"])
    ltc.init(weights, config["projector"])
    llama.init(weights, config["llm"])
    projectors.init_seg(weights, config["llm"]["d_model"], config["sam"]["d_out"])
    sam.init_encoder(weights, config["sam"])
    sam.init_decoder(weights, config["sam"])


def expand(w, ids, visual):
    """Puts visual `[m, d]` in the place of the one sentinel of ids `[n]` → `[1, n + m - 1, d]`."""
    table = w["llm.embed_tokens.weight"]
    at = ids.tolist().index(IMAGE_SENTINEL)
    return torch.cat([table[ids[:at]], visual, table[ids[at + 1 :]]])[None]


def main():
    weights = Weights("composed")
    init(weights, CONFIG)
    w = weights.double()
    clip_side, sam_side = CONFIG["clip"]["image_size"], CONFIG["sam"]["image_size"]
    clip_pixels = rounded_normal("composed", "in.clip.pixels", 1, 3, clip_side, clip_side)
    sam_pixels = rounded_normal("composed", "in.sam.pixels", 1, 3, sam_side, sam_side)
    # As after resizing a wide photograph: the bottom is padding.
    sam_pixels[:, :, 3 * sam_side // 4 :] = 0
    ids = llama.token_ids("composed", 1, 16, SEG_ID)[0]
    ids[0], ids[5], ids[13] = 1, IMAGE_SENTINEL, SEG_ID

    states = clip.hidden_states(w, CONFIG["clip"], clip_pixels.double())
    visual = ltc.forward(w, CONFIG["projector"], clip.taps(states, CONFIG["clip"]))["tokens"][0]
    hidden = llama.hidden(w, CONFIG["llm"], expand(w, ids, visual))[0]
    # The state that predicts [SEG]: input index j becomes j + m - 1, and one before that.
    state_index = ids.tolist().index(SEG_ID) + len(visual) - 2
    embedding = projectors.seg(w, hidden[state_index : state_index + 1])
    image = sam.image_embedding(w, CONFIG["sam"], sam_pixels.double())
    masks = sam.mask_logits(w, CONFIG["sam"], image, embedding[:, None])[0]

    library = clip.library_model(select(weights, "clip."), CONFIG["clip"])
    check_close("composed clip", library(clip_pixels, output_hidden_states=True).hidden_states[-1], states[-1])
    library = sam.library_model(select(weights, "sam."), CONFIG["sam"])
    check_close("composed sam", library.get_image_embeddings(sam_pixels), image)
    library = llama.library_model(select(weights, "llm."), CONFIG["llm"])
    rows = expand(weights.tensors, ids, visual.float())
    check_close("composed llm", library.model(inputs_embeds=rows).last_hidden_state[0], hidden)

    tensors = {
        "in.clip.pixels": clip_pixels[0],
        "in.sam.pixels": sam_pixels[0],
        "in.llm.input_ids": ids,
        "in.seg_id": torch.tensor([SEG_ID]),
        "out.projector.out": visual,
        "out.llm.hidden": hidden,
        "out.llm.logits": llama.logits(w, CONFIG["llm"], hidden),
        "out.seg.state_index": torch.tensor([state_index]),
        "out.seg.hidden": hidden[state_index],
        "out.seg.embedding": embedding[0],
        "out.sam.image_embedding": image[0],
        "out.mask.logits": masks[0],
        **weights.tensors,
    }
    for i, state in enumerate(states):
        tensors[f"out.clip.hidden.{i}"] = state[0]
    save_model_fixture("composed", CONFIG, tensors)


def select(weights, prefix):
    """The tensors of one part."""
    part = Weights(weights.scope)
    part.tensors = {name: tensor for name, tensor in weights.tensors.items() if name.startswith(prefix)}
    return part
