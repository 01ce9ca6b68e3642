//! Numbers of main's orders, where they are made of the child's.

use super::super::settings::DocumentKind;

/// What stands between the prefix and the child's number, so that documents of three types have no number in common: of an
/// order whose own number begins with one of these, of a retail sale, of a purchase order.
const MARKS: [&str; 3] = ["O-", "R-", "P-"];

/// The number in main of a document with this number in the child.
pub(super) fn of(kind: DocumentKind, prefix: &str, own: &str) -> String {
    let [order, sale, purchase] = MARKS;
    let mark = match kind {
        DocumentKind::Customerorder if MARKS.iter().any(|mark| own.starts_with(mark)) => order,
        DocumentKind::Customerorder => "",
        DocumentKind::Retaildemand => sale,
        DocumentKind::Purchaseorder => purchase,
    };
    format!("{prefix}{mark}{own}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_of_three_types_never_meet() {
        let kinds = [DocumentKind::Customerorder, DocumentKind::Retaildemand, DocumentKind::Purchaseorder];
        let own = ["1", "R-1", "P-1", "O-1", "O-R-1", "R-R-1", "-1", "R", ""];
        let all = kinds.iter().flat_map(|kind| own.iter().map(|own| of(*kind, "K-", own)));
        let different: BTreeSet<String> = all.collect();
        assert_eq!(different.len(), kinds.len() * own.len(), "{different:?}");
        assert_eq!(of(DocumentKind::Customerorder, "K-", "00001"), "K-00001");
    }
}
