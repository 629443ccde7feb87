//! The memory 𝓜 of (10): for each class the last pictures seen, normal and abnormal ones.

use std::collections::{BTreeMap, VecDeque};

use super::config::DsslConfig;

/// Least share that a new picture has in the running mean, so that a changing encoder is followed.
const LEAST_SHARE: f64 = 0.01;

/// The running mean of each channel of SAM's pooled features: the parameter-free head g subtracts
/// it, or else all cosines would be near 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Centre {
    /// `[d_sam]`; empty before the first picture.
    pub mean: Vec<f32>,
    /// Pictures seen.
    pub seen: u64,
}

impl Centre {
    fn follow(&mut self, pooled: &[f32]) {
        self.mean.resize(pooled.len(), 0.0);
        self.seen += 1;
        let share = (1.0 / self.seen as f64).max(LEAST_SHARE) as f32;
        for (mean, value) in self.mean.iter_mut().zip(pooled) {
            *mean += share * (value - *mean);
        }
    }
}

/// A picture in the memory, before any head, so that z and s follow from live weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which picture it is.
    pub image: u64,
    /// GAP(F_v), `[d_sam]`.
    pub pooled: Vec<f32>,
    /// GAP(F_t), `[d_vision]`.
    pub clip: Vec<f32>,
    /// Token ids of the class's normal description, of which t_i is the mean embedding.
    pub description: Vec<i32>,
}

/// A picture on its way into the memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its class ([`DsslConfig::class_of`]).
    pub class: String,
    /// Whether it shows a defect.
    pub is_abnormal: bool,
    /// What is kept of it.
    pub entry: Entry,
}

/// The entries of one class, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queues {
    pub normal: VecDeque<Entry>,
    pub abnormal: VecDeque<Entry>,
}

/// The memory. It holds at most `2 · queue` entries of each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    pub(super) queue: usize,
    pub(super) min_normal: usize,
    pub(super) centre: Centre,
    pub(super) classes: BTreeMap<String, Queues>,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(config: &DsslConfig) -> Self {
        Self {
            queue: config.queue,
            min_normal: config.min_normal,
            centre: Centre::default(),
            classes: BTreeMap::new(),
        }
    }

    /// Takes a picture in, and drops the oldest of its class and label where there are too many. A
    /// picture that is already in it moves to the end, with its new features.
    pub fn push(&mut self, observation: Observation) {
        let Observation {
            class,
            is_abnormal,
            entry,
        } = observation;
        self.centre.follow(&entry.pooled);
        let queues = self.classes.entry(class).or_default();
        let queue = if is_abnormal {
            &mut queues.abnormal
        } else {
            &mut queues.normal
        };
        queue.retain(|held| held.image != entry.image);
        queue.push_back(entry);
        while queue.len() > self.queue {
            queue.pop_front();
        }
    }

    /// Whether the loss is defined for picture `image` of `class`: enough normal entries beside
    /// itself, and an abnormal one.
    #[must_use]
    pub fn is_ready(&self, class: &str, image: u64) -> bool {
        self.others(class, image).is_some()
    }

    /// The entries of `class` but for `image`, each with whether it is normal; `None` where they
    /// are too few.
    #[must_use]
    pub fn others(&self, class: &str, image: u64) -> Option<Vec<(&Entry, bool)>> {
        let queues = self.classes.get(class)?;
        let but_itself = |queue| -> Vec<&Entry> {
            VecDeque::iter(queue)
                .filter(|entry: &&Entry| entry.image != image)
                .collect()
        };
        let (normal, abnormal) = (but_itself(&queues.normal), but_itself(&queues.abnormal));
        if normal.len() < self.min_normal || abnormal.is_empty() {
            return None;
        }
        let normal = normal.into_iter().map(|entry| (entry, true));
        let abnormal = abnormal.into_iter().map(|entry| (entry, false));
        Some(normal.chain(abnormal).collect())
    }

    /// The running mean of SAM's pooled features.
    #[must_use]
    pub fn centre(&self) -> &Centre {
        &self.centre
    }

    /// Entries held of all classes.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = |queues: &Queues| queues.normal.len() + queues.abnormal.len();
        self.classes.values().map(held).sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(class: &str, is_abnormal: bool, image: u64) -> Observation {
        Observation {
            class: class.to_owned(),
            is_abnormal,
            entry: Entry {
                image,
                pooled: vec![image as f32, 1.0],
                clip: vec![0.5; 3],
                description: vec![1, 2],
            },
        }
    }

    fn memory(queue: usize) -> Memory {
        Memory::new(&DsslConfig {
            queue,
            ..DsslConfig::default()
        })
    }

    #[test]
    fn the_oldest_leaves_first() {
        let mut memory = memory(4);
        for image in 0..7 {
            memory.push(seen("bolt", false, image));
        }
        memory.push(seen("bolt", true, 100));
        let images = |memory: &Memory| -> Vec<(u64, bool)> {
            let others = memory.others("bolt", 999);
            let others = others.unwrap_or_default().into_iter();
            others
                .map(|(entry, normal)| (entry.image, normal))
                .collect()
        };
        let expected = [(3, true), (4, true), (5, true), (6, true), (100, false)];
        assert_eq!(images(&memory), expected);
        // Seen again: it moves, and is not held twice.
        memory.push(seen("bolt", false, 4));
        let expected = [(3, true), (5, true), (6, true), (4, true), (100, false)];
        assert_eq!(images(&memory), expected);
        assert_eq!(memory.len(), 5);
    }

    #[test]
    fn ready_once_there_is_enough_to_compare_with() {
        let mut memory = memory(64);
        let mut check = |push: Option<Observation>, class: &str, image: u64, expected: bool| {
            push.into_iter().for_each(|seen| memory.push(seen));
            assert_eq!(memory.is_ready(class, image), expected, "{class} {image}");
        };
        check(None, "bolt", 9, false);
        for image in 0..4 {
            check(Some(seen("bolt", false, image)), "bolt", 9, false);
        }
        check(Some(seen("bolt", true, 50)), "bolt", 9, true);
        // Three others only, or no abnormal other.
        check(None, "bolt", 2, false);
        check(None, "bolt", 50, false);
        check(Some(seen("bolt", false, 4)), "bolt", 2, true);
        check(None, "nut", 9, false);
    }

    #[test]
    fn the_centre_is_the_mean_and_later_follows() {
        let mut memory = memory(8);
        for image in 1..=5 {
            memory.push(seen("bolt", image == 2, image));
        }
        assert_eq!(memory.centre().seen, 5);
        assert!((memory.centre().mean[0] - 3.0).abs() < 1e-6);
        assert!((memory.centre().mean[1] - 1.0).abs() < 1e-6);
        for _ in 0..1000 {
            memory.push(seen("bolt", false, 40));
        }
        let mean = memory.centre().mean[0];
        assert!((mean - 40.0).abs() < 0.01, "{mean}");
    }
}
