//! How a subcommand ends when it does not end well.

/// Why a subcommand ended early.
#[derive(Debug)]
pub enum Failure {
    /// One line for stderr; status 1.
    Message(String),
    /// What was wrong has been printed already, as by `check`; status 1.
    Told,
    /// Nobody reads stdout any more, as after `| head`; status 0.
    Closed,
}

impl Failure {
    /// A line for the user.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }
}

impl From<wgrad::Error> for Failure {
    fn from(error: wgrad::Error) -> Self {
        Self::Message(error.to_string())
    }
}

/// The result of a subcommand and its parts.
pub type Result<T = ()> = std::result::Result<T, Failure>;
