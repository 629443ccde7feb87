// out = dequant(W_q4)[ids], an embedding look-up. Reference: vmad_quant::gather_q4.
// One thread per element of the result. An id past the table reads its last row.
//#include shared/gather.wgsl
//#include shared/scale.wgsl
//#include shared/q4.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;          // [tokens]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;          // [tokens, cols]
@group(0) @binding(4) var<uniform> params: GatherParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let cols = params.n_cols;
    let element = (group.y * params.groups_x + group.x) * 64u + local;
    if (element >= params.n_tokens * cols) {
        return;
    }
    let row = min(ids[element / cols], params.n_rows - 1u);
    let col = element % cols;
    let within = col % 32u;
    let at = row * ((cols + 31u) / 32u) + col / 32u;
    let word = packed[at][within / 8u] >> ((within % 8u) * 4u);
    out[element] = q4_low(word).x * scale_at(at);
}
