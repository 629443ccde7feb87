// The next token of an answer from its scores. Reference: reference::sample.
// One workgroup. Tokens are ranked by score, then by id, as a list that is never written down: a place in it
// is found bit by bit, by what the tokens up to it weigh together.
//#include shared/sum.wgsl
@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [vocab]; penalised in place
@group(0) @binding(1) var<storage, read_write> said: array<u32>;   // [capacity], the answer; the token is appended
@group(0) @binding(2) var<storage, read_write> out: array<u32>;    // [2]: the token; 1 where a score is not finite
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 2>;

// info[0]: vocab, tokens said, top-k, workgroups along x.
// info[1], f32: temperature, top-p, repetition penalty, a number drawn from [0, 1).
const LANES: u32 = 256u;
const LAST: u32 = 0xffffffffu;
var<private> highest: f32;

// A token's place in the list.
struct Place {
    key: u32,
    id: u32,
}

fn vocab() -> u32 { return info[0].x; }
fn temperature() -> f32 { return bitcast<f32>(info[1].x); }

// Orders as the scores do.
fn key(id: u32) -> u32 {
    let bits = bitcast<u32>(logits[id]);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn is_up_to(id: u32, ranked: u32, place: Place) -> bool {
    return ranked > place.key || (ranked == place.key && id <= place.id);
}

// What the tokens up to `place` weigh, of those up to `cut`: each one, or its unnormalised probability.
// Adding in one order whatever the place, so that a later place never weighs less.
fn mass(thread: Thread, place: Place, cut: Place, counts: bool) -> f32 {
    var part = 0.0;
    for (var id = thread.local; id < vocab(); id += LANES) {
        let ranked = key(id);
        if (is_up_to(id, ranked, place) && is_up_to(id, ranked, cut)) {
            part += select(exp((logits[id] - highest) / temperature()), 1.0, counts);
        }
    }
    return sum_over_lanes(thread, part);
}

// The first place up to which tokens weigh `goal` at least.
fn reach(thread: Thread, goal: f32, cut: Place, counts: bool) -> Place {
    var place = Place(0u, LAST);
    for (var bit = 0x80000000u; bit > 0u; bit /= 2u) {
        let trial = place.key | bit;
        if (mass(thread, Place(trial, LAST), cut, counts) >= goal) {
            place.key = trial;
        }
    }
    // Of equal scores the first ids: the largest id before which they weigh too little.
    place.id = 0u;
    for (var bit = 1u << firstLeadingBit(vocab()); bit > 0u; bit /= 2u) {
        let trial = place.id | bit;
        if (mass(thread, Place(place.key, trial - 1u), cut, counts) < goal) {
            place.id = trial;
        }
    }
    return place;
}

// Keskar et al. 2019; a token that was said twice counts once.
fn penalise(local: u32) {
    let penalty = bitcast<f32>(info[1].z);
    for (var i = local; i < info[0].y; i += LANES) {
        let id = said[i];
        var is_first = id < vocab();
        for (var before = 0u; before < i; before++) {
            is_first = is_first && said[before] != id;
        }
        if (is_first) {
            let score = logits[id];
            logits[id] = select(score * penalty, score / penalty, score > 0.0);
        }
    }
    storageBarrier();
}

fn draw(thread: Thread) -> u32 {
    var cut = Place(0u, LAST);
    if (info[0].z > 0u && info[0].z < vocab()) {
        cut = reach(thread, f32(info[0].z), cut, true);
    }
    let top_p = bitcast<f32>(info[1].y);
    if (top_p < 1.0) {
        cut = reach(thread, top_p * mass(thread, cut, cut, false), cut, false);
    }
    let goal = bitcast<f32>(info[1].w) * mass(thread, cut, cut, false);
    // The likeliest weighs one, so that any of the smallest numbers means it.
    return reach(thread, max(goal, 1.0e-30), cut, false).id;
}

@compute @workgroup_size(256)
fn main(thread: Thread) {
    let local = thread.local;
    var is_bad = 0u;
    for (var id = local; id < vocab(); id += LANES) {
        let exponent = bitcast<u32>(logits[id]) & 0x7f800000u;
        is_bad |= select(0u, 1u, exponent == 0x7f800000u);
    }
    is_bad = top_of_lanes(thread, is_bad);
    if (bitcast<f32>(info[1].z) != 1.0) {
        penalise(local);
    }
    var top = 0u;
    for (var id = local; id < vocab(); id += LANES) {
        top = max(top, key(id));
    }
    top = top_of_lanes(thread, top);
    // The first id of the highest score, as the largest complement.
    var first = 0u;
    for (var id = local; id < vocab(); id += LANES) {
        first = max(first, select(0u, ~id, key(id) == top));
    }
    var token = ~top_of_lanes(thread, first);
    if (temperature() > 0.0) {
        highest = logits[token];
        token = draw(thread);
    }
    token = min(token, vocab() - 1u);
    if (local == 0u) {
        out[0] = token;
        out[1] = is_bad;
        said[info[0].y] = token;
    }
}
