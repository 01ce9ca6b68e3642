//! The query parameters of lists of what providers have.

use super::problem::Problem;
use crate::sync::paging::{Cursor, Filter};

/// The parameters as they came.
pub(super) struct Given {
    pub(super) provider: Option<String>,
    pub(super) id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) limit: Option<String>,
    pub(super) cursor: Option<String>,
}

impl Given {
    /// What they mean; `status` reads the names that `those` has (`none of a message`).
    pub(super) fn filter<S>(
        self,
        status: impl Fn(&str) -> Option<S>,
        those: &str,
    ) -> Result<Filter<S>, Problem> {
        let limit = self.limit.map_or(Ok(50), |text| text.parse());
        let status = self.status.map(|word| status(&word).ok_or(word));
        let after = self.cursor.map(|text| Cursor::decode(&text).ok_or(text));
        let bad = |detail: &str| Problem::BadRequest(detail.to_owned());
        Ok(Filter {
            provider: self.provider,
            id: self.id,
            status: status.transpose().map_err(|_| bad(&format!("`status` is {those}")))?,
            after: after.transpose().map_err(|_| bad("`cursor` is no next_cursor of this list"))?,
            limit: limit
                .ok()
                .filter(|limit| (1..=200).contains(limit))
                .ok_or_else(|| bad("`limit` must be from 1 to 200"))?,
        })
    }
}
