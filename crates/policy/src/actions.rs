//! What follows when a validation is false.

use std::fmt;

use pharos_api::policy::ValidationAction;

/// A set of actions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Actions(u8);

const ALL: [ValidationAction; 3] =
    [ValidationAction::Deny, ValidationAction::Audit, ValidationAction::Warn];

// === impl Actions ===

impl Actions {
    /// Whether the action is one of them.
    pub fn contains(self, action: ValidationAction) -> bool {
        self.0 & bit(action) != 0
    }

    /// The actions: Deny, Audit, Warn, as far as they are in the set.
    pub fn iter(self) -> impl Iterator<Item = ValidationAction> {
        ALL.into_iter().filter(move |action| self.contains(*action))
    }

    /// Whether nothing follows.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(action: ValidationAction) -> u8 {
    match action {
        ValidationAction::Deny => 1,
        ValidationAction::Audit => 2,
        ValidationAction::Warn => 4,
    }
}

impl FromIterator<ValidationAction> for Actions {
    fn from_iter<I: IntoIterator<Item = ValidationAction>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, action| set | bit(action)))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
