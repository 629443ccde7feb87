//! Prints the cost of the large launches of the 7B model beside the lower bound of their sizes:
//! `cargo run --release -p vmad-kernels --example roofline`.

use vmad_kernels::QuantKind::{self, Q4, Q8};
use vmad_kernels::cost::{self, Work};
use vmad_kernels::reference::AttentionSizes;

/// Tokens of a prompt: 144 visual tokens and the text.
const PROMPT: usize = 256;

fn main() {
    println!(
        "| Launch | Sizes | Operations, G | actual | Bytes, MB | actual | ms on a weak GPU | actual | bound by |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---|");
    products();
    attentions();
}

fn products() {
    // Tokens, rows, columns.
    let table: [(&str, QuantKind, [usize; 3]); 12] = [
        ("LLaMA queries, keys, values", Q4, [1, 12_288, 4096]),
        ("LLaMA output", Q4, [1, 4096, 4096]),
        ("LLaMA gate, values", Q4, [1, 22_016, 4096]),
        ("LLaMA down", Q4, [1, 4096, 11_008]),
        ("LLaMA head", Q8, [1, 32_000, 4096]),
        ("the same, prompt: gate, values", Q4, [PROMPT, 22_016, 4096]),
        ("prompt: down", Q4, [PROMPT, 4096, 11_008]),
        ("CLIP-L/336 fc1", Q8, [577, 4096, 1024]),
        ("CLIP-L/336 fc2", Q8, [577, 1024, 4096]),
        ("SAM ViT-H queries, keys, values", Q8, [4096, 3840, 1280]),
        ("SAM ViT-H lin1", Q8, [4096, 5120, 1280]),
        ("SAM ViT-H lin2", Q8, [4096, 1280, 5120]),
    ];
    for (name, kind, sizes) in table {
        let [tokens, rows, cols] = sizes;
        let bits = match kind {
            Q4 => 4,
            Q8 => 8,
        };
        let sizes_text = format!("{tokens} × {rows} × {cols}, int{bits}");
        row(name, &sizes_text, cost::product(kind, sizes));
    }
}

fn attentions() {
    let square = |batch, n_heads, n, d| AttentionSizes {
        batch,
        n_heads,
        n_kv_heads: n_heads,
        n_q: n,
        n_k: n,
        d_head: d,
        d_value: d,
    };
    let decode = AttentionSizes {
        n_q: 1,
        ..square(1, 32, 1024, 128)
    };
    let table = [
        ("LLaMA attention, after 1,023 tokens", decode, 1.0),
        ("the same, prompt", square(1, 32, PROMPT, 128), 0.5),
        ("CLIP-L/336 attention", square(1, 16, 577, 64), 1.0),
        (
            "SAM ViT-H attention, 25 windows",
            square(25, 16, 196, 80),
            1.0,
        ),
        ("SAM ViT-H attention, global", square(1, 16, 4096, 80), 1.0),
    ];
    for (name, sizes, share) in table {
        let AttentionSizes {
            batch,
            n_heads,
            n_q,
            n_k,
            d_head,
            ..
        } = sizes;
        let sizes_text =
            format!("{batch} × {n_heads} heads, {n_q} queries, {n_k} keys, {d_head} wide");
        row(name, &sizes_text, cost::attention(sizes, share));
    }
}

fn row(name: &str, sizes: &str, work: Work) {
    let Work {
        roofline_min,
        actual,
    } = work;
    let bound = if roofline_min.is_memory_bound() {
        "memory"
    } else {
        "arithmetic"
    };
    println!(
        "| {name} | {sizes} | {:.3} | {:.3} | {:.1} | {:.1} | {:.1} | {:.1} | {bound} |",
        roofline_min.operations / 1e9,
        actual.operations / 1e9,
        roofline_min.bytes / 1e6,
        actual.bytes / 1e6,
        roofline_min.weak_ms(),
        actual.weak_ms(),
    );
}
