// Samples the next token from its logits: repetition penalty, temperature, top-k, top-p. Reference: reference::sample.
// One workgroup. Tokens are ranked by logit, then by id, without sorting: a cut in that order is found bit by bit, from the
// mass (count or probability) of the tokens up to it.
//#include shared/reduce.wgsl
struct SampleParams {
    vocab_size: u32,
    n_sampled: u32, // tokens sampled so far
    top_k: u32,     // 0: all
    temperature: f32,
    top_p: f32,
    repetition_penalty: f32,
    uniform_draw: f32, // from [0, 1)
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;  // [vocab_size]; penalised in place
@group(0) @binding(1) var<storage, read_write> sampled: array<u32>; // [capacity]; the token is appended
@group(0) @binding(2) var<storage, read_write> out: array<u32>;     // [2]: the token; 1 where a logit is not finite
@group(0) @binding(3) var<uniform> params: SampleParams;

const LANES: u32 = 256u;
const LAST: u32 = 0xffffffffu;
var<private> highest: f32;

// A cut in the ranking: all tokens up to this key, and of that key up to this id.
struct Cut {
    key: u32,
    id: u32,
}

// Bits that order as the logits do.
fn key(id: u32) -> u32 {
    let bits = bitcast<u32>(logits[id]);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn is_up_to(id: u32, ranked: u32, cut: Cut) -> bool {
    return ranked > cut.key || (ranked == cut.key && id <= cut.id);
}

// The mass of the tokens up to both `upper` and `cut`: their count, or their unnormalised probability. The order of the
// additions does not depend on `upper`, so that a later cut never has less mass.
fn mass(thread: Thread, upper: Cut, cut: Cut, counts: bool) -> f32 {
    var part = 0.0;
    for (var id = thread.local; id < params.vocab_size; id += LANES) {
        let ranked = key(id);
        if (is_up_to(id, ranked, upper) && is_up_to(id, ranked, cut)) {
            part += select(exp((logits[id] - highest) / params.temperature), 1.0, counts);
        }
    }
    return workgroup_sum(thread, part);
}

// The first cut within `cut` whose mass is at least `goal`.
fn find_cut(thread: Thread, goal: f32, cut: Cut, counts: bool) -> Cut {
    var found = Cut(0u, LAST);
    for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
        let candidate = found.key | bit;
        if (mass(thread, Cut(candidate, LAST), cut, counts) >= goal) {
            found.key = candidate;
        }
    }
    // Of equal logits the lowest ids: the largest id before which the mass is too small.
    found.id = 0u;
    for (var bit = 1u << firstLeadingBit(params.vocab_size); bit > 0u; bit /= 2u) {
        let candidate = found.id | bit;
        if (mass(thread, Cut(found.key, candidate - 1u), cut, counts) < goal) {
            found.id = candidate;
        }
    }
    return found;
}

// The repetition penalty of Keskar et al. 2019. A token that was sampled twice is penalised once.
fn penalise(local: u32) {
    let penalty = params.repetition_penalty;
    for (var i = local; i < params.n_sampled; i += LANES) {
        let id = sampled[i];
        var is_first = id < params.vocab_size;
        for (var before = 0u; before < i; before++) {
            is_first = is_first && sampled[before] != id;
        }
        if (is_first) {
            let logit = logits[id];
            logits[id] = select(logit * penalty, logit / penalty, logit > 0.0);
        }
    }
    storageBarrier();
}

fn draw(thread: Thread) -> u32 {
    var cut = Cut(0u, LAST);
    if (params.top_k > 0u && params.top_k < params.vocab_size) {
        cut = find_cut(thread, f32(params.top_k), cut, true);
    }
    let top_p = params.top_p;
    if (top_p < 1.0) {
        cut = find_cut(thread, top_p * mass(thread, cut, cut, false), cut, false);
    }
    let goal = params.uniform_draw * mass(thread, cut, cut, false);
    // The mass of the likeliest token is one, so that any smaller goal selects it.
    return find_cut(thread, max(goal, 1.0e-30), cut, false).id;
}

@compute @workgroup_size(256)
fn main(thread: Thread) {
    let local = thread.local;
    var is_bad = 0u;
    for (var id = local; id < params.vocab_size; id += LANES) {
        let exponent = bitcast<u32>(logits[id]) & 0x7f800000u;
        is_bad |= select(0u, 1u, exponent == 0x7f800000u);
    }
    is_bad = workgroup_max_u32(thread, is_bad);
    if (params.repetition_penalty != 1.0) {
        penalise(local);
    }
    var top = 0u;
    for (var id = local; id < params.vocab_size; id += LANES) {
        top = max(top, key(id));
    }
    top = workgroup_max_u32(thread, top);
    // The lowest id of the highest logit, as the largest complement.
    var first = 0u;
    for (var id = local; id < params.vocab_size; id += LANES) {
        first = max(first, select(0u, ~id, key(id) == top));
    }
    var token = ~workgroup_max_u32(thread, first);
    if (params.temperature > 0.0) {
        highest = logits[token];
        token = draw(thread);
    }
    token = min(token, params.vocab_size - 1u);
    if (local == 0u) {
        out[0] = token;
        out[1] = is_bad;
        sampled[params.n_sampled] = token;
    }
}
