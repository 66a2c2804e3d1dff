//! How many objects a page has: so many that it is about a megabyte. Pure.
//!
//! A Pod has some kilobytes, and a ConfigMap can have a megabyte. What is held at a time is a few pages,
//! so that it is bytes that bound them, as far as the last page tells how large the next will be.

/// How large a page should be.
const WANTED_BYTES: usize = 1 << 20;
/// Before anything is known about the objects. So many of the largest that there can be are less than
/// [`super::fetch::LARGEST`].
const FIRST: u32 = 25;
/// How many objects are asked for at most, as `kubectl` does.
const MOST: u32 = 500;
/// How much larger a page may be than the one before.
const GROWTH: u32 = 4;

/// How many objects the next page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageSize(u32);

// === impl PageSize ===

impl PageSize {
    /// As the `limit` of a list.
    pub(crate) fn limit(self) -> u32 {
        self.0
    }

    /// What follows from a page that held so many objects in so many bytes.
    #[must_use]
    pub(crate) fn after(self, held: usize, bytes: usize) -> Self {
        if held == 0 {
            return self;
        }
        let wanted = WANTED_BYTES.saturating_mul(held) / bytes.max(1);
        let most = MOST.min(self.0.saturating_mul(GROWTH));
        Self(u32::try_from(wanted).unwrap_or(most).clamp(1, most))
    }

    /// What follows from a page that was too large; none if it was a single object.
    pub(crate) fn after_too_large(self) -> Option<Self> {
        (self.0 > 1).then_some(Self((self.0 / GROWTH).max(1)))
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    #[test]
    fn pages_grow_and_shrink_until_they_are_a_megabyte() {
        let mut size = PageSize::default();
        let mut limits = Vec::new();
        for each in [2 * KIB, 2 * KIB, 2 * KIB, 100 * KIB, 100 * KIB, KIB] {
            let held = size.limit() as usize;
            size = size.after(held, held * each);
            limits.push(size.limit());
        }
        assert_eq!(limits, [100, 400, 500, 10, 10, 40]);
        assert_eq!(size.after(0, 0), size, "nothing says nothing");
        assert_eq!(size.after(1, usize::MAX).limit(), 1);
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_in_parts_down_to_one_object() {
        let mut size = PageSize::default();
        let mut limits = Vec::new();
        while let Some(smaller) = size.after_too_large() {
            size = smaller;
            limits.push(size.limit());
        }
        assert_eq!(limits, [6, 1]);
    }
}
