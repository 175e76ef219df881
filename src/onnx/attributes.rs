//! A node's attributes, with references in functions' bodies resolved.

use super::node::Node;
use super::proto::{AttributeProto, GraphProto, attribute_type};
use super::tensor::decode;
use crate::error::Result;
use crate::tensor::TensorData;

impl<'a> Node<'a> {
    /// The attributes that stand at the node itself.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &'a AttributeProto> {
        self.proto.attribute.iter().filter(|attribute| attribute.ref_attr_name.is_empty())
    }

    /// The attributes that come from the call of the function around the node, with their names here.
    pub(super) fn references(&self) -> impl Iterator<Item = (&'a str, &'a AttributeProto)> {
        let scope = self.scope;
        let references = self.proto.attribute.iter().filter(|attribute| !attribute.ref_attr_name.is_empty());
        references.filter_map(|attribute| Some((&*attribute.name, *scope.attributes.get(&*attribute.ref_attr_name)?)))
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        let own = self.attributes().find(|attribute| attribute.name == name);
        own.or_else(|| self.references().find(|(known, _)| *known == name).map(|(_, attribute)| attribute))
    }

    /// True where the attribute is there.
    pub(super) fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An attribute of a kind. Files of ONNX's first version leave the kind open.
    fn of_kind(&self, name: &str, kind: i32, word: &str) -> Result<Option<&'a AttributeProto>> {
        match self.attribute(name) {
            Some(attribute) if attribute.r#type != kind && attribute.r#type != 0 => {
                Err(self.error(format!("attribute {name:?} should be {word}")))
            }
            other => Ok(other),
        }
    }

    /// An integer.
    pub(super) fn optional_int(&self, name: &str) -> Result<Option<i64>> {
        let attribute = self.of_kind(name, attribute_type::INT, "an integer")?;
        Ok(attribute.map(|attribute| attribute.i.unwrap_or(0)))
    }

    /// An integer, or the default.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.optional_int(name)?.unwrap_or(default))
    }

    /// An integer that is a flag: 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name, default.into())? != 0)
    }

    /// A number.
    pub(super) fn optional_float(&self, name: &str) -> Result<Option<f64>> {
        let attribute = self.of_kind(name, attribute_type::FLOAT, "a number")?;
        Ok(attribute.map(|attribute| attribute.f.unwrap_or(0.0).into()))
    }

    /// A number, or the default.
    pub(super) fn float(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional_float(name)?.unwrap_or(default))
    }

    /// A list of integers.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>> {
        let attribute = self.of_kind(name, attribute_type::INTS, "a list of integers")?;
        Ok(attribute.map(|attribute| &*attribute.ints))
    }

    /// A list of numbers.
    pub(super) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>> {
        let attribute = self.of_kind(name, attribute_type::FLOATS, "a list of numbers")?;
        Ok(attribute.map(|attribute| &*attribute.floats))
    }

    fn text(&self, name: &str, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.error(format!("attribute {name:?} is no text")))
    }

    /// A text.
    pub(super) fn optional_string(&self, name: &str) -> Result<Option<&'a str>> {
        let attribute = self.of_kind(name, attribute_type::STRING, "a text")?;
        attribute.map(|attribute| self.text(name, attribute.s.as_deref().unwrap_or_default())).transpose()
    }

    /// A text, or what holds without it.
    pub(super) fn string(&self, name: &str, default: &'static str) -> Result<&'a str> {
        Ok(self.optional_string(name)?.unwrap_or(default))
    }

    /// A list of texts.
    pub(super) fn strings(&self, name: &str) -> Result<Option<Vec<&'a str>>> {
        let attribute = self.of_kind(name, attribute_type::STRINGS, "a list of texts")?;
        attribute.map(|attribute| attribute.strings.iter().map(|bytes| self.text(name, bytes)).collect()).transpose()
    }

    /// A tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<TensorData>> {
        let attribute = self.of_kind(name, attribute_type::TENSOR, "a tensor")?;
        let Some(proto) = attribute.and_then(|attribute| attribute.t.as_deref()) else { return Ok(None) };
        let folder = self.importer.model.folder.as_deref();
        let data = decode(proto, folder).map_err(|message| self.error(format!("attribute {name:?}: {message}")))?;
        Ok(Some(data))
    }

    /// A graph within the node.
    pub(super) fn subgraph(&self, name: &str) -> Result<&'a GraphProto> {
        let attribute = self.of_kind(name, attribute_type::GRAPH, "a graph")?;
        attribute
            .and_then(|attribute| attribute.g.as_deref())
            .ok_or_else(|| self.error(format!("wants a graph as its attribute {name:?}")))
    }
}
