//! From changed pixels to a mask as a person would draw it.

/// Closes gaps up to about `radius` pixels, fills enclosed specks and drops lone ones.
///
/// `hit` holds rows of `width` pixels.
pub(crate) fn clean(hit: &[bool], width: usize, radius: f32) -> Vec<bool> {
    let r = (radius + 0.5) as usize;
    let closed = grow(&grow(hit, width, r, true), width, r, false);
    let mut out: Vec<bool> = closed.iter().zip(hit).map(|(c, h)| *c || *h).collect();
    let speck = (4.0 * radius * radius).max(6.0) as usize;
    flip_small_components(&mut out, width, speck, true);
    flip_small_components(&mut out, width, speck * 4, false);
    out
}

/// Grows (`value` true) or shrinks the hits by a square of `2 r + 1`.
fn grow(hit: &[bool], width: usize, r: usize, value: bool) -> Vec<bool> {
    let height = hit.len() / width.max(1);
    let mut wide = hit.to_vec();
    for y in 0..height {
        let row = &hit[y * width..(y + 1) * width];
        for x in 0..width {
            let near = &row[x.saturating_sub(r)..(x + r + 1).min(width)];
            wide[y * width + x] = near.contains(&value) == value;
        }
    }
    let mut out = wide.clone();
    for y in 0..height {
        for x in 0..width {
            let mut near = (y.saturating_sub(r)..(y + r + 1).min(height)).map(|k| k * width + x);
            out[y * width + x] = near.any(|i| wide[i] == value) == value;
        }
    }
    out
}

/// Flips 4-connected components of `value` that have fewer than `least` pixels.
fn flip_small_components(hit: &mut [bool], width: usize, least: usize, value: bool) {
    let height = hit.len() / width.max(1);
    let mut seen = vec![false; hit.len()];
    let mut members = Vec::new();
    for start in 0..hit.len() {
        if seen[start] || hit[start] != value {
            continue;
        }
        members.clear();
        members.push(start);
        seen[start] = true;
        let mut next = 0;
        while let Some(&i) = members.get(next) {
            next += 1;
            let (x, y) = (i % width, i / width);
            let neighbours = [
                (x > 0).then(|| i - 1),
                (x + 1 < width).then(|| i + 1),
                (y > 0).then(|| i - width),
                (y + 1 < height).then(|| i + width),
            ];
            for k in neighbours.into_iter().flatten() {
                if !seen[k] && hit[k] == value {
                    seen[k] = true;
                    members.push(k);
                }
            }
        }
        if members.len() < least {
            for i in &members {
                hit[*i] = !value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[&str], radius: f32, after: &[&str]) {
        let width = before[0].len();
        let hits = |rows: &[&str]| -> Vec<bool> {
            rows.iter()
                .flat_map(|r| r.bytes().map(|b| b == b'#'))
                .collect()
        };
        assert_eq!(
            clean(&hits(before), width, radius),
            hits(after),
            "{before:?}"
        );
    }

    #[test]
    fn gaps_close_and_specks_go() {
        check(
            &["........", "..###.#.", "..#.#...", "..###...", "........"],
            0.0,
            &["........", "..###...", "..###...", "..###...", "........"],
        );
        check(&["###.###", "###.###"], 1.0, &["#######", "#######"]);
        check(
            &["...........", "....#......", "..........."],
            0.0,
            &["..........."; 3],
        );
    }
}
