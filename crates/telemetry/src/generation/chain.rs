//! The generations that still count, in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::carry::Era;
use crate::shape::Shape;
use crate::snapshot::now;

use super::Generation;

/// The generations that still count.
pub(super) struct Chain {
    /// Those that are not current any more, the oldest first.
    ended: VecDeque<Stage>,
    current: Stage,
    /// Of the snapshot that was begun last: later ones have higher numbers.
    sequence: u64,
    /// The moment of it, in nanoseconds since 1970. Never goes back, even if the clock does.
    time: u64,
}

/// A generation, and the time in which it is the current one.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) number: u64,
    pub(super) generation: Arc<Generation>,
    pub(super) era: Arc<Era>,
}

/// What a snapshot is of.
pub(super) struct Moment {
    pub(super) sequence: u64,
    pub(super) time: u64,
    pub(super) stages: Stages,
}

/// Generations one after the other.
pub(super) struct Stages {
    pub(super) ended: Vec<Stage>,
    pub(super) last: Stage,
}

/// A generation that is not current any more, and when that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(super) number: u64,
    sequence: u64,
    time: u64,
}

// === impl Chain ===

impl Chain {
    pub(super) fn start(generation: Arc<Generation>) -> Self {
        let time = now();
        let era = Era::first(Arc::clone(&generation.shape) as _, time);
        let current = Stage { number: 1, generation, era };
        Self { ended: VecDeque::new(), current, sequence: 0, time }
    }

    /// The shape of what is recorded now.
    pub(super) fn shape(&self) -> Arc<Shape> {
        Arc::clone(&self.current.generation.shape)
    }

    /// The number of the generation that is current.
    pub(super) fn number(&self) -> u64 {
        self.current.number
    }

    /// How many generations are not current and still count.
    pub(super) fn retiring(&self) -> usize {
        self.ended.len()
    }

    /// Begins a snapshot of this moment.
    pub(super) fn moment(&mut self) -> Moment {
        self.tick();
        let Self { sequence, time, .. } = *self;
        let ended = self.ended.iter().cloned().collect();
        Moment { sequence, time, stages: Stages { ended, last: self.current.clone() } }
    }

    /// Appends a generation that begins now, and tells of the one that ends.
    pub(super) fn follow(&mut self, generation: Arc<Generation>) -> Ended {
        self.tick();
        let Self { sequence, time, .. } = *self;
        let number = self.current.number;
        // Whatever that one counts is from before this moment: a stream that starts again starts
        // after all of it.
        let era = self.current.era.follow(Arc::clone(&generation.shape) as _, time);
        let next = Stage { number: number + 1, generation, era };
        self.ended.push_back(std::mem::replace(&mut self.current, next));
        Ended { number, sequence, time }
    }

    /// Begins a snapshot of the moment in which a generation ended; `None` if it counts no more.
    pub(super) fn end(&self, ended: Ended) -> Option<Moment> {
        let Ended { number, sequence, time } = ended;
        let stages = self.ended.iter().take_while(|stage| stage.number <= number);
        let mut ended: Vec<Stage> = stages.cloned().collect();
        let last = ended.pop().filter(|stage| stage.number == number)?;
        Some(Moment { sequence, time, stages: Stages { ended, last } })
    }

    /// The oldest of those that are not current any more.
    pub(super) fn oldest(&self) -> Option<Stage> {
        self.ended.front().cloned()
    }

    /// Forgets that one.
    pub(super) fn forget_oldest(&mut self) {
        self.ended.pop_front();
    }

    fn tick(&mut self) {
        self.sequence += 1;
        self.time = now().max(self.time + 1);
    }
}
