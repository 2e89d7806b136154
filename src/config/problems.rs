//! What is wrong with the settings: all of it at once, each naming its variable, never showing a secret.

use std::fmt;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable it is about.
    pub setting: &'static str,
    /// A sentence that names it.
    pub text: String,
}

/// Everything that keeps nectr from starting. Displayed one a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, setting: &'static str, text: impl Into<String>) {
        self.0.push(Problem { setting, text: text.into() });
    }

    /// What concerns one variable.
    pub fn of(&self, setting: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |problem| problem.setting == setting).map(|problem| problem.text.as_str())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
