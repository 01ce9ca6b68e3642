//! Lists: limit, offset, order, expand.

use super::account::{Account, Entity, Part};
use super::filter::Filter;
use super::json::{decimal, id_of};
use super::kind::{Kind, SELLABLE, kind};
use super::refused::Refused;
use serde_json::{Value, json};
use std::cmp::Ordering;

const MOST: usize = 1000;
/// Expand works only where a limit of at most so many rows is given.
const MOST_EXPANDED: usize = 100;
const DEEPEST: usize = 3;

/// The query of a request that was understood.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    pub(super) filter: Filter,
    pub(super) expand: Vec<String>,
    order: Vec<(String, bool)>,
    /// As it came, for links to other pages.
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()).into_owned() {
            match name.as_str() {
                "filter" => query.filter = Filter::read(&value)?,
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    query.limit = Some(limit.ok_or(Refused::field(400, 1014, "limit"))?);
                }
                "offset" => query.offset = value.parse().map_err(|_| Refused::field(400, 1014, "offset"))?,
                "expand" => {
                    query.expand = value.split(',').map(|path| path.trim().to_owned()).collect();
                    if query.expand.iter().any(|path| path.split('.').count() > DEEPEST) {
                        return Err(Refused::field(400, 1014, "expand"));
                    }
                }
                "order" => {
                    for key in value.split(';') {
                        let (field, direction) = key.split_once(',').unwrap_or((key, "asc"));
                        if !matches!(direction, "asc" | "desc") {
                            return Err(Refused::field(400, 1063, "order"));
                        }
                        query.order.push((field.to_owned(), direction == "desc"));
                    }
                }
                "fields" | "search" | "async" | "stockType" | "include" | "changedSince" | "miniature"
                | "groupBy" | "namedfilter" => {}
                _ => return Err(Refused::field(400, 1014, &name)),
            }
            query.pairs.push((name, value));
        }
        Ok(query)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// What a list expands: nothing, silently, without an explicit small limit.
    fn expand_of_list(&self) -> &[String] {
        match self.limit {
            Some(limit) if limit <= MOST_EXPANDED => &self.expand,
            _ => &[],
        }
    }

    fn link(&self, href: &str, offset: usize) -> Value {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|pair| pair.0 != "offset"));
        query.append_pair("offset", &offset.to_string());
        format!("{href}?{}", query.finish()).into()
    }
}

impl Account {
    /// `GET /entity/{kind}`
    pub(super) fn list(&self, kind: &Kind, query: &Query) -> Result<Value, Refused> {
        query.filter.check(kind, self)?;
        let href = format!("{}/entity/{}", self.base, kind.keyword);
        Ok(self.list_of(&href, kind.keyword, query, |entity| std::ptr::eq(entity.kind, kind)))
    }

    /// `GET /entity/customentity/{dictionary}`
    pub(super) fn list_elements(&self, dictionary: uuid::Uuid, query: &Query) -> Result<Value, Refused> {
        if !self.dictionaries.iter().any(|known| known.0 == dictionary) {
            return Err(Refused::unknown());
        }
        query.filter.check(Self::element_kind()?, self)?;
        let href = format!("{}/entity/customentity/{dictionary}", self.base);
        Ok(self.list_of(&href, "customentity", query, |entity| entity.dictionary == Some(dictionary)))
    }

    /// `GET /entity/assortment`
    pub(super) fn assortment(&self, query: &Query) -> Result<Value, Refused> {
        if let Some(product) = kind("product") {
            query.filter.check(product, self)?;
        }
        let href = format!("{}/entity/assortment", self.base);
        Ok(self.list_of(&href, "assortment", query, |entity| SELLABLE.contains(&entity.kind.keyword)))
    }

    fn list_of(&self, href: &str, keyword: &str, query: &Query, belongs: impl Fn(&Entity) -> bool) -> Value {
        let fits = |entity: &&Entity| belongs(entity) && query.filter.shows(self, entity);
        let mut found: Vec<&Entity> = match query.filter.only_ids() {
            Some(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                ids.into_iter().filter_map(|id| self.get(id)).filter(fits).collect()
            }
            None => self.entities.values().filter(fits).collect(),
        };
        for (field, descending) in query.order.iter().rev() {
            found.sort_by(|a, b| {
                let order = compare(a.fields.get(field), b.fields.get(field));
                if *descending { order.reverse() } else { order }
            });
        }
        let expand = query.expand_of_list();
        let limit = query.limit.unwrap_or(MOST);
        let rows = found.iter().skip(query.offset).take(limit);
        let mut rows: Vec<Value> = rows
            .map(|entity| {
                let mut shown = self.show(entity);
                self.expand(&mut shown, expand);
                shown
            })
            .collect();
        if self.rules.has_odd_rows && matches!(keyword, "currency" | "uom") {
            rows.push(json!({"id": uuid::Uuid::nil(), "name": "Odd", "code": null, "isoCode": null}));
        }
        self.page_of(href, keyword, query, found.len(), rows)
    }

    /// Lines of a document or bundle.
    pub(super) fn list_parts(&self, entity: &Entity, query: &Query) -> Value {
        let list = entity.kind.parts.unwrap_or_default();
        let href = format!("{}/{list}", self.href(entity.kind.keyword, entity.id));
        let limit = query.limit.unwrap_or(MOST);
        let rows = entity.parts.iter().skip(query.offset).take(limit);
        let rows = rows.map(|part| self.expanded_part(entity, part, query.expand_of_list())).collect();
        self.page_of(&href, &super::show::part_kind(entity), query, entity.parts.len(), rows)
    }

    fn expanded_part(&self, entity: &Entity, part: &Part, expand: &[String]) -> Value {
        let mut shown = self.show_part(entity, part);
        self.expand(&mut shown, expand);
        shown
    }

    fn page_of(&self, href: &str, keyword: &str, query: &Query, size: usize, rows: Vec<Value>) -> Value {
        let limit = query.limit.unwrap_or(MOST);
        let mut page = self.page(href, keyword, rows);
        page["meta"]["size"] = size.into();
        page["meta"]["limit"] = limit.into();
        page["meta"]["offset"] = query.offset.into();
        if query.offset + limit < size {
            page["meta"]["nextHref"] = query.link(href, query.offset + limit);
        }
        if query.offset > 0 {
            page["meta"]["previousHref"] = query.link(href, query.offset.saturating_sub(limit));
        }
        page
    }

    /// A list that is complete on one page.
    pub(super) fn page(&self, href: &str, keyword: &str, rows: Vec<Value>) -> Value {
        let size = rows.len();
        let employee = format!("{}/context/employee", self.base);
        json!({
            "context": {"employee": super::json::meta(&employee, "employee")},
            "meta": {
                "href": href, "type": keyword, "mediaType": "application/json",
                "size": size, "limit": 1000, "offset": 0,
            },
            "rows": Value::Array(rows),
        })
    }

    /// Puts what references point at into their place.
    pub(super) fn expand(&self, shown: &mut Value, paths: &[String]) {
        for path in paths {
            let names: Vec<&str> = path.split('.').collect();
            self.expand_path(shown, &names);
        }
    }

    fn expand_path(&self, value: &mut Value, names: &[&str]) {
        let Some((first, rest)) = names.split_first() else { return };
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.expand_path(item, names)),
            Value::Object(fields) => {
                // Within a collection the rows are meant.
                if let Some(rows) = fields.get_mut("rows") {
                    self.expand_path(rows, names);
                    return;
                }
                if let Some(field) = fields.get_mut(*first) {
                    self.expand_here(field);
                    self.expand_path(field, rest);
                }
            }
            _ => {}
        }
    }

    fn expand_here(&self, field: &mut Value) {
        if let Value::Array(items) = field {
            for item in items {
                self.expand_here(item);
            }
            return;
        }
        if field.get("rows").is_some() || field.get("id").is_some() {
            return;
        }
        let Some(href) = field["meta"]["href"].as_str().map(str::to_owned) else { return };
        if field["meta"].get("size").is_some() {
            let (owner, list) = href.rsplit_once('/').unwrap_or((&href, ""));
            let owner = owner.rsplit('/').next().and_then(|id| id.parse().ok()).and_then(|id| self.get(id));
            let Some(owner) = owner else { return };
            field["rows"] = match list {
                "images" => owner.images.iter().map(|image| self.show_image(owner, image)).collect(),
                _ => owner.parts.iter().take(MOST).map(|part| self.show_part(owner, part)).collect(),
            };
            return;
        }
        if field["meta"]["type"] == "state" {
            let id = id_of(field);
            for (keyword, states) in &self.states {
                if let Some(state) = states.iter().find(|state| Some(state.id) == id) {
                    *field = self.show_state(keyword, state);
                    return;
                }
            }
        }
        if let Some(entity) = id_of(field).and_then(|id| self.get(id)) {
            *field = self.show(entity);
        }
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Number(_)), Some(Value::Number(_))) => decimal(a).cmp(&decimal(b)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
