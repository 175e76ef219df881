//! The fields of a JSON object that describes an optimizer or a schedule, taken one after the other.

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// The fields of an object that nobody has taken yet.
pub struct Fields {
    rest: Map<String, Value>,
    /// Whose fields they are, for errors: `the optimizer`.
    whose: &'static str,
    /// What is taken, for errors.
    known: Vec<&'static str>,
}

impl Fields {
    /// The fields of a JSON object, and its name.
    pub fn named(value: Value, whose: &'static str, example: &str) -> Result<(String, Self)> {
        let Value::Object(mut rest) = value else {
            return Err(Failure::new(format!("{whose} should be an object like {example}, not {value}")));
        };
        let Some(Value::String(name)) = rest.remove("name") else {
            return Err(Failure::new(format!("{whose} has no \"name\"; an example is {example}")));
        };
        Ok((name, Self { rest, whose, known: Vec::new() }))
    }

    /// A field, where it is given.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        self.known.push(name);
        match self.rest.remove(name) {
            None => Ok(None),
            Some(value) => read(&value)
                .map(Some)
                .ok_or_else(|| Failure::new(format!("{}'s {name:?} should be {what}, not {value}", self.whose))),
        }
    }

    /// A field that goes by several names, of which the first is the usual one.
    pub fn alias<T>(
        &mut self,
        names: &[&'static str],
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        for (index, name) in names.iter().enumerate() {
            let value = self.optional(name, what, &read)?;
            if index > 0 {
                self.known.pop();
            }
            if value.is_some() && found.is_some() {
                return Err(Failure::new(format!("{} has {names:?}, which are names of the same", self.whose)));
            }
            found = found.or(value);
        }
        Ok(found)
    }

    /// A field, or what holds without it.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        default: T,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        Ok(self.optional(name, what, read)?.unwrap_or(default))
    }

    /// A field that has to be there.
    pub fn needed<T>(&mut self, name: &'static str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let whose = self.whose;
        self.optional(name, what, read)?.ok_or_else(|| Failure::new(format!("{whose} needs {name:?}, {what}")))
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, default: f64) -> Result<f64> {
        self.take(name, default, "a number", Value::as_f64)
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str) -> Result<bool> {
        self.take(name, false, "true or false", Value::as_bool)
    }

    /// Two numbers.
    pub fn pair(&mut self, name: &'static str, default: (f64, f64)) -> Result<(f64, f64)> {
        self.take(name, default, "a pair of numbers", |value| match value.as_array()?.as_slice() {
            [first, second] => Some((first.as_f64()?, second.as_f64()?)),
            _ => None,
        })
    }

    /// One of some texts.
    pub fn choice(&mut self, name: &'static str, choices: &[&'static str]) -> Result<&'static str> {
        let first = choices.first().copied().unwrap_or_default();
        let what = choices.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(" or ");
        self.take(name, first, &what, |value| choices.iter().copied().find(|choice| value.as_str() == Some(*choice)))
    }

    /// Complains of what nobody has taken.
    pub fn done(self, name: &str) -> Result {
        match self.rest.keys().next() {
            Some(unknown) => {
                let (whose, known) = (self.whose, self.known.join(", "));
                Err(Failure::new(format!("{whose} {name} has no {unknown:?}; it takes {known}")))
            }
            None => Ok(()),
        }
    }
}
