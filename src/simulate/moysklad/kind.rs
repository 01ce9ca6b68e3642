//! What kinds of entities there are, and which fields each has. Source: facts/moysklad.md, sections 5 and 6.

/// How a field's value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Text of at most so many characters; empty or null clears it.
    Text(usize),
    Bool,
    /// Shown only when true.
    Flag,
    Int,
    Float,
    /// `{value, currency}`.
    Money,
    /// Sale prices, merged by their type.
    Prices,
    Barcodes,
    Packs,
    /// A reference to one of these kinds; null clears it.
    Reference(&'static [&'static str]),
    Attributes,
    /// To the minute: seconds are zeroed.
    Minute,
    Enum(&'static [&'static str]),
    /// An object that nothing looks into.
    Object,
    Strings,
    Characteristics,
    State,
    /// `{currency, value}` of a document.
    Rate,
    /// Positions or components, and images: handled by their own modules.
    Parts,
    Images,
}

/// One kind of entity.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing about a kind")]
pub(super) struct Kind {
    pub(super) keyword: &'static str,
    pub(super) fields: &'static [&'static [(&'static str, Field)]],
    /// Fields without which it cannot be created (3000).
    pub(super) required: &'static [&'static str],
    pub(super) has_sync_id: bool,
    /// Whether its id in the web interface is another one than the API's.
    pub(super) has_ui_id: bool,
    /// `positions` or `components`.
    pub(super) parts: Option<&'static str>,
    /// Whose attribute metadata it shares.
    pub(super) attributes: Option<&'static str>,
    /// Has an archive, whose content lists hide.
    pub(super) archives: bool,
    pub(super) is_document: bool,
}

impl Kind {
    pub(super) fn field(&self, name: &str) -> Option<Field> {
        self.fields.iter().flat_map(|group| group.iter()).find(|field| field.0 == name).map(|field| field.1)
    }

    pub(super) fn has(&self, field: Field) -> bool {
        self.fields.iter().flat_map(|group| group.iter()).any(|entry| entry.1 == field)
    }
}

use Field::{
    Attributes, Barcodes, Bool, Characteristics, Enum, Flag, Float, Images, Int, Minute, Money, Object,
    Packs, Parts, Prices, Rate, Reference, State, Strings, Text,
};

const EMPLOYEE: Field = Reference(&["employee"]);
const COUNTERPARTY: Field = Reference(&["counterparty", "organization"]);

const NAMED: &[(&str, Field)] = &[
    ("name", Text(255)),
    ("code", Text(255)),
    ("externalCode", Text(255)),
    ("description", Text(4096)),
    ("shared", Bool),
    ("owner", EMPLOYEE),
    ("group", Reference(&["group"])),
];
const TAXED: &[(&str, Field)] = &[
    ("vat", Int),
    ("vatEnabled", Bool),
    ("useParentVat", Bool),
    (
        "taxSystem",
        Enum(&[
            "GENERAL_TAX_SYSTEM",
            "PATENT_BASED",
            "PRESUMPTIVE_TAX_SYSTEM",
            "SIMPLIFIED_TAX_SYSTEM_INCOME",
            "SIMPLIFIED_TAX_SYSTEM_INCOME_OUTCOME",
            "TAX_SYSTEM_SAME_AS_GROUP",
            "UNIFIED_AGRICULTURAL_TAX",
        ]),
    ),
];
const SOLD: &[(&str, Field)] = &[
    ("archived", Bool),
    ("productFolder", Reference(&["productfolder"])),
    ("uom", Reference(&["uom"])),
    ("salePrices", Prices),
    ("minPrice", Money),
    ("barcodes", Barcodes),
    ("attributes", Attributes),
    ("discountProhibited", Bool),
    ("paymentItemType", Text(255)),
];
const GOODS: &[(&str, Field)] = &[
    ("article", Text(255)),
    ("country", Reference(&["country"])),
    ("weight", Float),
    ("volume", Float),
    ("tnved", Text(255)),
    ("trackingType", Text(255)),
    ("partialDisposal", Bool),
    ("images", Images),
];
const PRODUCT: &[(&str, Field)] = &[
    ("buyPrice", Money),
    ("supplier", COUNTERPARTY),
    ("packs", Packs),
    ("isSerialTrackable", Bool),
    ("weighed", Flag),
    ("onTap", Flag),
    ("ppeType", Text(255)),
    ("alcoholic", Object),
    ("minimumBalance", Float),
    ("minimumStock", Object),
];
const VARIANT: &[(&str, Field)] = &[
    ("code", Text(255)),
    ("externalCode", Text(255)),
    ("description", Text(4096)),
    ("article", Text(255)),
    ("archived", Bool),
    ("barcodes", Barcodes),
    ("salePrices", Prices),
    ("buyPrice", Money),
    ("minPrice", Money),
    ("discountProhibited", Bool),
    ("images", Images),
    ("packs", Packs),
    ("minimumStock", Object),
    ("product", Reference(&["product"])),
    ("characteristics", Characteristics),
];
const BUNDLE: &[(&str, Field)] = &[("components", Parts), ("overhead", Money)];
const COMPANY: &[(&str, Field)] = &[
    (
        "companyType",
        Enum(&[
            "legal",
            "entrepreneur",
            "individual",
            "legalUZ",
            "entrepreneurUZ",
            "individualUZ",
            "legalKZ",
            "entrepreneurKZ",
            "individualKZ",
        ]),
    ),
    ("legalTitle", Text(4096)),
    ("legalLastName", Text(255)),
    ("legalFirstName", Text(255)),
    ("legalMiddleName", Text(255)),
    ("legalAddress", Text(255)),
    ("legalAddressFull", Object),
    ("actualAddress", Text(255)),
    ("actualAddressFull", Object),
    ("inn", Text(255)),
    ("kpp", Text(255)),
    ("ogrn", Text(255)),
    ("ogrnip", Text(255)),
    ("okpo", Text(255)),
    ("phone", Text(255)),
    ("fax", Text(255)),
    ("email", Text(255)),
    ("archived", Bool),
    ("attributes", Attributes),
];
const COUNTERPARTY_ONLY: &[(&str, Field)] = &[
    ("tags", Strings),
    ("priceType", Reference(&["pricetype"])),
    ("state", State),
    ("discountCardNumber", Text(255)),
    ("sex", Enum(&["MALE", "FEMALE"])),
];
const DOCUMENT: &[(&str, Field)] = &[
    ("moment", Minute),
    ("applicable", Bool),
    ("vatEnabled", Bool),
    ("vatIncluded", Bool),
    ("rate", Rate),
    ("organization", Reference(&["organization"])),
    ("organizationAccount", Reference(&["account"])),
    ("agent", COUNTERPARTY),
    ("agentAccount", Reference(&["account"])),
    ("store", Reference(&["store"])),
    ("project", Reference(&["project"])),
    ("contract", Reference(&["contract"])),
    ("state", State),
    ("attributes", Attributes),
    ("positions", Parts),
    ("taxSystem", Text(255)),
];
const ORDER: &[(&str, Field)] = &[
    ("salesChannel", Reference(&["saleschannel"])),
    ("deliveryPlannedMoment", Minute),
    ("shipmentAddress", Text(255)),
    ("shipmentAddressFull", Object),
];
const RETAIL: &[(&str, Field)] = &[
    ("retailStore", Reference(&["retailstore"])),
    ("retailShift", Reference(&["retailshift"])),
    ("cashSum", Float),
    ("noCashSum", Float),
    ("qrSum", Float),
    ("prepaymentCashSum", Float),
    ("prepaymentNoCashSum", Float),
    ("customerOrder", Reference(&["customerorder"])),
];

const PLAIN: Kind = Kind {
    keyword: "",
    fields: &[NAMED],
    required: &["name"],
    has_sync_id: false,
    has_ui_id: false,
    parts: None,
    attributes: None,
    archives: false,
    is_document: false,
};
const ASSORTMENT: Kind = Kind { has_ui_id: true, archives: true, attributes: Some("product"), ..PLAIN };
const PAPER: Kind = Kind {
    required: &["organization", "agent"],
    has_sync_id: true,
    parts: Some("positions"),
    is_document: true,
    ..PLAIN
};

/// Every kind that has the common shape. Webhooks have their own.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        keyword: "product",
        fields: &[NAMED, TAXED, SOLD, GOODS, PRODUCT],
        has_sync_id: true,
        ..ASSORTMENT
    },
    Kind {
        keyword: "variant",
        fields: &[VARIANT],
        required: &["product", "characteristics"],
        attributes: None,
        ..ASSORTMENT
    },
    Kind {
        keyword: "bundle",
        fields: &[NAMED, TAXED, SOLD, GOODS, BUNDLE],
        parts: Some("components"),
        required: &["name", "components"],
        has_sync_id: true,
        ..ASSORTMENT
    },
    Kind {
        keyword: "service",
        fields: &[NAMED, TAXED, SOLD, &[("buyPrice", Money)]],
        has_sync_id: true,
        ..ASSORTMENT
    },
    Kind {
        keyword: "productfolder",
        fields: &[NAMED, TAXED, &[("productFolder", Reference(&["productfolder"]))]],
        ..PLAIN
    },
    Kind { keyword: "uom", ..PLAIN },
    Kind { keyword: "country", ..PLAIN },
    Kind {
        keyword: "currency",
        fields: &[
            NAMED,
            &[
                ("fullName", Text(255)),
                ("isoCode", Text(255)),
                ("rate", Float),
                ("multiplicity", Int),
                ("indirect", Bool),
                ("system", Bool),
                ("archived", Bool),
            ],
        ],
        required: &["name", "code", "isoCode"],
        ..PLAIN
    },
    Kind { keyword: "customentity", ..PLAIN },
    Kind {
        keyword: "counterparty",
        fields: &[NAMED, COMPANY, COUNTERPARTY_ONLY],
        has_sync_id: true,
        archives: true,
        attributes: Some("counterparty"),
        ..PLAIN
    },
    Kind {
        keyword: "organization",
        fields: &[NAMED, COMPANY],
        has_sync_id: true,
        archives: true,
        attributes: Some("organization"),
        ..PLAIN
    },
    Kind {
        keyword: "store",
        fields: &[
            NAMED,
            &[
                ("address", Text(255)),
                ("addressFull", Object),
                ("parent", Reference(&["store"])),
                ("archived", Bool),
                ("attributes", Attributes),
            ],
        ],
        archives: true,
        attributes: Some("store"),
        ..PLAIN
    },
    Kind { keyword: "employee", fields: &[NAMED, &[("lastName", Text(255)), ("email", Text(255))]], ..PLAIN },
    Kind { keyword: "group", ..PLAIN },
    Kind { keyword: "project", archives: true, fields: &[NAMED, &[("archived", Bool)]], ..PLAIN },
    Kind { keyword: "contract", fields: &[NAMED, &[("agent", COUNTERPARTY)]], ..PLAIN },
    Kind { keyword: "saleschannel", fields: &[NAMED, &[("type", Text(255))]], ..PLAIN },
    Kind { keyword: "retailstore", fields: &[NAMED, &[("store", Reference(&["store"]))]], ..PLAIN },
    Kind {
        keyword: "customerorder",
        fields: &[NAMED, DOCUMENT, ORDER],
        attributes: Some("customerorder"),
        ..PAPER
    },
    Kind {
        keyword: "retaildemand",
        fields: &[NAMED, DOCUMENT, RETAIL],
        attributes: Some("retaildemand"),
        ..PAPER
    },
    Kind {
        keyword: "purchaseorder",
        fields: &[NAMED, DOCUMENT, &[("deliveryPlannedMoment", Minute)]],
        attributes: Some("purchaseorder"),
        ..PAPER
    },
];

/// The kinds that make up the assortment.
pub(super) const SELLABLE: [&str; 4] = ["product", "service", "bundle", "variant"];

/// Fields that only answers hold, and a request may repeat without effect.
pub(super) const READ_ONLY: [&str; 34] = [
    "id",
    "meta",
    "accountId",
    "updated",
    "created",
    "deleted",
    "pathName",
    "variantsCount",
    "effectiveVat",
    "effectiveVatEnabled",
    "things",
    "files",
    "printed",
    "published",
    "sum",
    "vatSum",
    "payedSum",
    "shippedSum",
    "invoicedSum",
    "reservedSum",
    "demands",
    "payments",
    "invoicesOut",
    "purchaseOrders",
    "moves",
    "prepayments",
    "customerOrders",
    "stock",
    "reserve",
    "inTransit",
    "quantity",
    "default",
    "salesAmount",
    "accounts",
];

/// The kind of a keyword; paths are tolerant of case.
pub(super) fn kind(keyword: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.keyword.eq_ignore_ascii_case(keyword))
}
