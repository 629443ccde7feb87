// out = x · dequant(W_q4)ᵀ, for a prompt or an image. Reference: vmad_quant::matmul_q4.
// One workgroup per 64×64 tile of the result; the workgroups are numbered over two dimensions.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/tile.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;          // [tokens, rows]
@group(0) @binding(4) var<uniform> info: vec4<u32>;                      // tokens, rows, cols, workgroups along x

// 64 rows of one block are 256 words: one for each thread.
fn load_w(local: u32, first_row: u32, block: u32, blocks: u32) {
    let row = first_row + local / 4u;
    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    if (row < info.y) {
        let at = row * blocks + block;
        let word = packed[at][local % 4u];
        let scale = scale_at(at);
        low = q4_low(word) * scale;
        high = q4_high(word) * scale;
    }
    let to = (local % 4u) * 8u * TILE + local / 4u;
    for (var i = 0u; i < 4u; i++) {
        w_tile[to + i * TILE] = low[i];
        w_tile[to + (i + 4u) * TILE] = high[i];
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tiles_across = (info.y + TILE - 1u) / TILE;
    let tiles_down = (info.x + TILE - 1u) / TILE;
    let index = group.y * info.w + group.x;
    if (index >= tiles_across * tiles_down) {
        return;
    }
    let first_row = (index % tiles_across) * TILE;
    let first_token = (index / tiles_across) * TILE;
    let blocks = (info.z + 31u) / 32u;
    for (var block = 0u; block < blocks; block++) {
        load_x(local, first_token, block * STEP);
        load_w(local, first_row, block, blocks);
        workgroupBarrier();
        accumulate(local);
        workgroupBarrier();
    }
    store(local, first_token, first_row);
}
