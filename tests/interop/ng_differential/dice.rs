//! Choices that a number makes: the same number, the same choices.

/// A sequence of choices (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// The choices that `number` makes.
    pub(crate) fn new(number: u64) -> Dice {
        // Neighbouring numbers share nothing after the first step.
        Dice(number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u16) -> u16 {
        u16::try_from(self.next() % u64::from(bound.max(1))).expect("below 65536")
    }

    /// Yes, that often in a hundred.
    pub(crate) fn chance(&mut self, percent: u16) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let bound = u16::try_from(from.len()).expect("a short list");
        from[usize::from(self.below(bound))].clone()
    }

    /// Some of them, in their order: each that often in a hundred.
    pub(crate) fn some<T: Clone>(&mut self, from: &[T], percent: u16) -> Vec<T> {
        from.iter().filter(|_| self.chance(percent)).cloned().collect()
    }
}

#[test]
fn a_number_makes_the_same_choices_again_and_its_neighbour_others() {
    let choices = |number| {
        let mut dice = Dice::new(number);
        (0..32).map(|_| dice.below(1000)).collect::<Vec<_>>()
    };
    assert_eq!(choices(7), choices(7));
    assert!(choices(7).iter().zip(choices(8)).filter(|(one, other)| **one == *other).count() < 4);
    let mut dice = Dice::new(1);
    let often = (0..1000).filter(|_| dice.chance(30)).count();
    assert!((200..400).contains(&often), "{often}");
}
