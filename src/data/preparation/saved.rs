//! A preparation as JSON, which a model's file carries.

use serde_json::{Map, Value, json};

use super::{Preparation, PreparedColumn, Role};
use crate::data::format::Format;
use crate::error::{Error, Result};

/// What the JSON says it is; the number grows where old ones cannot be read any more.
const VERSION: u64 = 1;

impl Preparation {
    /// As JSON; floats are restored bit for bit.
    pub fn to_json(&self) -> String {
        let columns: Vec<Value> = self.columns.iter().map(PreparedColumn::to_value).collect();
        json!({
            "version": VERSION, "columns": columns, "target": self.target, "missing": self.missing.name(),
            "named": self.named,
        })
        .to_string()
    }

    /// From what [`to_json`](Self::to_json) gave.
    ///
    /// # Errors
    /// [`Error::Data`] for anything else.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |problem: &str| Error::Data(format!("no preparation of a table: {problem}"));
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => return Err(wrong(&format!("its version is {other}, and {VERSION} is known"))),
            None => return Err(wrong("it has no version")),
        }
        Self::from_value(&value).ok_or_else(|| wrong("a field is lacking or of another kind"))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let columns = value.get("columns")?.as_array()?.iter().map(PreparedColumn::from_value);
        let preparation = Self {
            columns: columns.collect::<Option<_>>()?,
            target: usize::try_from(value.get("target")?.as_u64()?).ok()?,
            missing: value.get("missing")?.as_str()?.parse().ok()?,
            named: value.get("named")?.as_bool()?,
        };
        let is_target = |role: &Role| matches!(role, Role::Classes { .. } | Role::Value { .. });
        let targets: Vec<usize> = preparation
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| is_target(&column.role))
            .map(|(n, _)| n)
            .collect();
        (targets == [preparation.target] && preparation.features() > 0).then_some(preparation)
    }
}

impl PreparedColumn {
    fn to_value(&self) -> Value {
        let mut value = match &self.role {
            Role::Number { format, mean, std, fill, flag } => {
                json!({"role": "number", "format": format.code(), "mean": mean, "std": std, "fill": fill, "flag": flag})
            }
            Role::Categories { labels, fill, own } => {
                json!({"role": "categories", "labels": labels, "fill": fill, "own": own})
            }
            Role::Unused { reason } => json!({"role": "unused", "reason": reason}),
            Role::Classes { labels, format } => {
                json!({"role": "classes", "labels": labels, "format": format.map(Format::code)})
            }
            Role::Value { format, mean, std } => {
                json!({"role": "value", "format": format.code(), "mean": mean, "std": std})
            }
        };
        if let Some(fields) = value.as_object_mut() {
            fields.insert("name".to_owned(), json!(self.name));
            fields.insert("lacking".to_owned(), json!(self.lacking));
            fields.insert("remark".to_owned(), json!(self.remark));
        }
        value
    }

    fn from_value(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let role = match text(fields, "role")? {
            "number" => Role::Number {
                format: Format::from_code(text(fields, "format")?)?,
                mean: finite(fields, "mean")?,
                std: finite(fields, "std").filter(|std| *std > 0.0)?,
                fill: optional(fields, "fill", |fill| fill.as_f64().filter(|fill| fill.is_finite()))?,
                flag: fields.get("flag")?.as_bool()?,
            },
            "categories" => Role::Categories {
                // They are searched by halves.
                labels: labels(fields).filter(|labels| labels.is_sorted())?,
                fill: optional(fields, "fill", |fill| fill.as_str().map(str::to_owned))?,
                own: fields.get("own")?.as_bool()?,
            },
            "unused" => Role::Unused { reason: text(fields, "reason")?.to_owned() },
            "classes" => Role::Classes {
                labels: labels(fields).filter(|labels| labels.len() > 1)?,
                format: optional(fields, "format", |format| Format::from_code(format.as_str()?))?,
            },
            "value" => Role::Value {
                format: Format::from_code(text(fields, "format")?)?,
                mean: finite(fields, "mean")?,
                std: finite(fields, "std").filter(|std| *std > 0.0)?,
            },
            _ => return None,
        };
        let remark = optional(fields, "remark", |remark| remark.as_str().map(str::to_owned))?;
        let lacking = usize::try_from(fields.get("lacking")?.as_u64()?).ok()?;
        Some(Self { name: text(fields, "name")?.to_owned(), role, lacking, remark })
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str()
}

fn finite(fields: &Map<String, Value>, name: &str) -> Option<f64> {
    fields.get(name)?.as_f64().filter(|value| value.is_finite())
}

fn labels(fields: &Map<String, Value>) -> Option<Vec<String>> {
    fields.get("labels")?.as_array()?.iter().map(|label| label.as_str().map(str::to_owned)).collect()
}

/// A field that may be null, which is something else than one that is not there or is wrong.
fn optional<T>(fields: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match fields.get(name)? {
        Value::Null => Some(None),
        value => read(value).map(Some),
    }
}
