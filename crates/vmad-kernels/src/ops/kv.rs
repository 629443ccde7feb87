//! The cache of a language model's keys and values, and attention over it.

#[cfg(feature = "wgpu")]
use burn::backend::Dispatch;
#[cfg(feature = "wgpu")]
use burn::tensor::s;
use burn::tensor::{Device, Tensor, TensorData};

use super::attention::attention;
#[cfg(feature = "wgpu")]
use crate::backend::KvOps;
use crate::route::Route;
use crate::types::Mask;

/// Positions by which the capacity of a cache grows.
const STEP: usize = 256;

/// Rotary position embedding (Su et al. 2021), with the angles of all positions so far.
#[derive(Clone, Debug)]
pub struct Rotary {
    theta: f64,
    d_head: usize,
    /// `[positions, d_head]`: per position the cosines of half the columns, then the sines.
    angles: Option<Tensor<2>>,
}

impl Rotary {
    /// The rotary embedding with base `theta` for heads of `d_head` columns, an even number.
    #[must_use]
    pub fn new(theta: f64, d_head: usize) -> Self {
        Self {
            theta,
            d_head,
            angles: None,
        }
    }

    /// The angles of at least `n` positions, `[positions, d_head]`.
    fn angles(&mut self, n: usize, device: &Device) -> Tensor<2> {
        if let Some(angles) = self.angles.as_ref().filter(|angles| angles.dims()[0] >= n) {
            return angles.clone();
        }
        let n = n.next_multiple_of(STEP);
        let half = self.d_head / 2;
        let frequency = |i: usize| self.theta.powf(-((2 * i) as f64) / self.d_head as f64);
        let frequencies: Vec<f64> = (0..half).map(frequency).collect();
        let mut angles = Vec::with_capacity(n * self.d_head);
        for position in 0..n {
            let angle = |frequency: &f64| position as f64 * frequency;
            angles.extend(frequencies.iter().map(|f| angle(f).cos() as f32));
            angles.extend(frequencies.iter().map(|f| angle(f).sin() as f32));
        }
        let angles = Tensor::from_data(TensorData::new(angles, [n, 2 * half]), device);
        self.angles.insert(angles).clone()
    }
}

/// Hugging Face's half-rotation layout: (x₁·cos − x₂·sin, x₂·cos + x₁·sin).
fn rotated(x: Tensor<4>, angles: &Tensor<2>, start: usize) -> Tensor<4> {
    let [_, _, n, d_head] = x.dims();
    let half = d_head / 2;
    let angles = angles.clone().narrow(0, start, n);
    let part = |at: usize| angles.clone().narrow(1, at, half).reshape([1, 1, n, half]);
    let (cos, sin) = (part(0), part(half));
    let low = x.clone().narrow(3, 0, half);
    let high = x.narrow(3, half, half);
    let rotated_low = low.clone() * cos.clone() - high.clone() * sin.clone();
    Tensor::cat(vec![rotated_low, high * cos + low * sin], 3)
}

/// Concatenates the heads of each query: `[batch, n_heads, n, d_head]` to `[batch, n, n_heads · d_head]`.
fn side_by_side(attended: Tensor<4>) -> Tensor<3> {
    let [batch, n_heads, n, d_head] = attended.dims();
    attended
        .swap_dims(1, 2)
        .reshape([batch, n, n_heads * d_head])
}

/// One layer's keys and values.
#[derive(Clone, Debug, Default)]
pub struct KvLayer {
    /// Each `[batch, n_kv_heads, capacity, d_head]`. On GPUs the capacity exceeds the number of cached positions.
    cached: Option<[Tensor<4>; 2]>,
}

impl KvLayer {
    /// Applies `rotary` to queries and keys, appends keys and values after the first `start` positions, and returns each
    /// query's attention to all positions up to its own.
    ///
    /// # Shapes
    /// - q: `[batch, n, n_heads, d_head]`
    /// - k, v: `[batch, n, n_kv_heads, d_head]`
    /// - output: `[batch, n, n_heads · d_head]`
    ///
    /// # Panics
    /// Like every operation in burn, when the shapes do not fit.
    pub fn attend(
        &mut self,
        [q, k, v]: [Tensor<4>; 3],
        rotary: &mut Rotary,
        start: usize,
    ) -> Tensor<3> {
        #[cfg(feature = "wgpu")]
        if Route::kv_cache(&q, &v) == Route::Tile {
            let [.., n_kv_heads, _] = k.dims();
            let stacked = Tensor::cat(vec![q, k, v], 2);
            return self.attend_in_place(stacked, n_kv_heads, rotary, start);
        }
        let [_, n, ..] = q.dims();
        let angles = rotary.angles(start + n, &q.device());
        let (q, [keys, values]) = self.append([q, k, v], &angles, start);
        side_by_side(attention(q, keys, values, Mask::Causal { start }))
    }

    /// [`Self::attend`] for queries, keys and values in one tensor, stacked along the heads.
    ///
    /// # Shapes
    /// - qkv: `[batch, n, n_heads + 2 · n_kv_heads, d_head]`
    /// - output: `[batch, n, n_heads · d_head]`
    ///
    /// # Panics
    /// As [`Self::attend`].
    pub fn attend_stacked(
        &mut self,
        qkv: Tensor<4>,
        n_kv_heads: usize,
        rotary: &mut Rotary,
        start: usize,
    ) -> Tensor<3> {
        #[cfg(feature = "wgpu")]
        if Route::kv_cache(&qkv, &qkv) == Route::Tile {
            return self.attend_in_place(qkv, n_kv_heads, rotary, start);
        }
        let [_, _, all, _] = qkv.dims();
        let n_heads = all - 2 * n_kv_heads;
        let part = |at: usize, n: usize| qkv.clone().narrow(2, at, n);
        let parts = [
            part(0, n_heads),
            part(n_heads, n_kv_heads),
            part(n_heads + n_kv_heads, n_kv_heads),
        ];
        self.attend(parts, rotary, start)
    }

    /// [`Self::attend_stacked`] on a GPU, where new keys and values are written in place.
    #[cfg(feature = "wgpu")]
    fn attend_in_place(
        &mut self,
        qkv: Tensor<4>,
        n_kv_heads: usize,
        rotary: &mut Rotary,
        start: usize,
    ) -> Tensor<3> {
        let [batch, n, _, d_head] = qkv.dims();
        let angles = rotary.angles(start + n, &qkv.device());
        let cache = self.take_with_capacity([batch, n_kv_heads, start + n, d_head], &qkv.device());
        let [keys, values] = cache.map(Tensor::into_dispatch);
        let (qkv, angles) = (qkv.into_dispatch(), angles.into_dispatch());
        let (q, keys, values) = <Dispatch as KvOps>::rope_append(qkv, angles, keys, values, start);
        let [q, keys, values] = [q, keys, values].map(Tensor::<4>::from_dispatch);
        self.cached = Some([keys.clone(), values.clone()]);
        let q = q.swap_dims(1, 2);
        side_by_side(attention(q, keys, values, Mask::Causal { start }))
    }

    /// Appends to the cache; returns the rotated queries, `[batch, n_heads, n, d_head]`, and all keys and values.
    fn append(
        &mut self,
        [q, k, v]: [Tensor<4>; 3],
        angles: &Tensor<2>,
        start: usize,
    ) -> (Tensor<4>, [Tensor<4>; 2]) {
        let [q, k, v] = [q, k, v].map(|x| x.swap_dims(1, 2));
        let (q, k) = (rotated(q, angles, start), rotated(k, angles, start));
        let all = match self.cached.take() {
            Some([keys, values]) => [
                Tensor::cat(vec![keys, k], 2),
                Tensor::cat(vec![values, v], 2),
            ],
            None => [k, v],
        };
        self.cached = Some(all.clone());
        (q, all)
    }

    /// Takes keys and values out of the layer, with capacity for `n` positions.
    #[cfg(feature = "wgpu")]
    fn take_with_capacity(
        &mut self,
        [batch, n_kv_heads, n, d_head]: [usize; 4],
        device: &Device,
    ) -> [Tensor<4>; 2] {
        let shape = [batch, n_kv_heads, n.next_multiple_of(STEP), d_head];
        match self.cached.take() {
            None => [0, 1].map(|_| Tensor::empty(shape, device)),
            Some(cached) if cached[0].dims()[2] >= n => cached,
            Some(cached) => cached.map(|old| {
                let [.., capacity, _] = old.dims();
                Tensor::empty(shape, device).slice_assign(s![.., .., 0..capacity, ..], old)
            }),
        }
    }

    /// Drops all positions after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        // A cache that is written in place keeps its capacity.
        let has_room = |x: &Tensor<4>| Route::kv_cache(x, x) != Route::Composed;
        self.cached = match self.cached.take() {
            Some(cached) if len > 0 && has_room(&cached[0]) => Some(cached),
            Some(cached) if len > 0 => Some(cached.map(|x| x.narrow(2, 0, len))),
            _ => None,
        };
    }

    /// Device memory of the cache, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cached = self.cached.iter().flatten();
        cached
            .map(|x| x.dims().iter().product::<usize>() * size_of::<f32>())
            .sum()
    }
}
