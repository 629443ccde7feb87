// Parameters of every attention shader over queries, keys and values.
struct HeadStrides {
    batch: u32, // 0 where the dimension is broadcast; so are the others
    head: u32,
    row: u32, // of a query or a key
}

struct AttentionParams {
    n_q: u32,
    n_k: u32,
    n_heads: u32,
    groups_x: u32,
    d_head: u32,
    d_value: u32,
    heads_per_kv: u32,  // query heads that share a head of keys and values
    scale: f32,
    first_visible: u32, // keys that the first query sees
    visible_step: u32,  // keys that each later query sees more
    batch: u32,
    n_parts: u32,       // parts of the keys, of attention_decode
    @align(16) q_strides: HeadStrides,
    @align(16) k_strides: HeadStrides,
    @align(16) v_strides: HeadStrides,
    @align(16) bias_strides: HeadStrides, // of `bias` or `relative`
    @align(16) side: u32, // side of the grid of keys, of attention_relative
}
