//! Why a request is refused: a status and an error code of MoySklad.

use serde_json::{Value, json};

/// A refusal. Codes are those of MoySklad's list of errors; 0 stands for an answer without a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}, code {code}, parameter {parameter:?}")]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// MoySklad's code; 0: the answer has no body.
    pub code: u32,
    /// The field that is wrong.
    pub parameter: Option<String>,
    /// What still refers to an entity that shall be deleted: `meta` objects.
    pub dependencies: Vec<Value>,
    /// Where the thing really is, for 302 and 308.
    pub location: Option<String>,
}

impl Refused {
    pub(super) fn new(status: u16, code: u32) -> Self {
        Self { status, code, parameter: None, dependencies: Vec::new(), location: None }
    }

    pub(super) fn field(status: u16, code: u32, parameter: &str) -> Self {
        Self { parameter: Some(parameter.to_owned()), ..Self::new(status, code) }
    }

    /// A status without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, 0)
    }

    pub(super) fn elsewhere(status: u16, location: String) -> Self {
        Self { location: Some(location), ..Self::empty(status) }
    }

    /// An id that this account does not have.
    pub(super) fn unknown() -> Self {
        Self::new(404, 1021)
    }

    pub(super) fn in_use(dependencies: Vec<Value>) -> Self {
        Self { dependencies, ..Self::new(409, 1028) }
    }

    pub(super) fn body(&self) -> Option<Value> {
        if self.code == 0 {
            return None;
        }
        let mut error = json!({
            "error": format!("Ошибка {}", self.code), "code": self.code,
            "moreInfo": format!("https://dev.moysklad.ru/doc/api/remap/1.2/#error_{}", self.code),
        });
        if let Some(parameter) = &self.parameter {
            error["parameter"] = parameter.as_str().into();
        }
        if !self.dependencies.is_empty() {
            error["dependencies"] = self.dependencies.clone().into();
        }
        Some(json!({ "errors": [error] }))
    }
}
