//! Which engines answer, and in which incarnation.

use crate::EngineId;

/// The engines by their place in the configured list.
#[derive(Debug)]
pub(crate) struct Engines {
    /// The instance of each engine that answers.
    instances: Vec<Option<String>>,
    next: usize,
}

impl Engines {
    pub(crate) fn new(count: u16) -> Self {
        Self { instances: vec![None; usize::from(count)], next: 0 }
    }

    /// The engine answers as `instance`; true if it answered as another one before.
    pub(crate) fn up(&mut self, engine: EngineId, instance: String) -> bool {
        let Some(slot) = self.instances.get_mut(usize::from(engine.0)) else { return false };
        let other = slot.as_ref().is_some_and(|old| *old != instance);
        *slot = Some(instance);
        other
    }

    pub(crate) fn down(&mut self, engine: EngineId) {
        if let Some(slot) = self.instances.get_mut(usize::from(engine.0)) {
            *slot = None;
        }
    }

    pub(crate) fn instance(&self, engine: EngineId) -> Option<&str> {
        self.instances.get(usize::from(engine.0))?.as_deref()
    }

    /// Whether an engine that is not in `tried` answers.
    pub(crate) fn has_other(&self, tried: &[EngineId]) -> bool {
        let mut up = (0u16..).zip(&self.instances).filter(|(_, instance)| instance.is_some());
        up.any(|(index, _)| !tried.contains(&EngineId(index)))
    }

    /// The next engine in turn that answers and is not in `tried`.
    pub(crate) fn choose(&mut self, tried: &[EngineId]) -> Option<EngineId> {
        let count = self.instances.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            let engine = EngineId(u16::try_from(index).ok()?);
            if self.instances[index].is_some() && !tried.contains(&engine) {
                self.next = (index + 1) % count;
                return Some(engine);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_take_turns_and_the_dead_are_left_out() {
        let mut engines = Engines::new(3);
        assert_eq!(engines.choose(&[]), None);
        engines.up(EngineId(0), "a".into());
        engines.up(EngineId(2), "c".into());
        let turns: Vec<_> = (0..4).filter_map(|_| engines.choose(&[])).map(|e| e.0).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
        assert_eq!(engines.choose(&[EngineId(0)]), Some(EngineId(2)));
        engines.down(EngineId(2));
        assert_eq!(engines.choose(&[EngineId(0)]), None);
    }

    #[test]
    fn another_instance_is_noticed() {
        let mut engines = Engines::new(1);
        assert!(!engines.up(EngineId(0), "a".into()));
        assert!(!engines.up(EngineId(0), "a".into()));
        assert!(engines.up(EngineId(0), "b".into()));
        assert_eq!(engines.instance(EngineId(0)), Some("b"));
    }
}
