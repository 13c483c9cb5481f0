use monitor::report::Report;
use serde_json::Value;

/// Every element there is in a page.
const KNOWN: [&str; 43] = [
    "!doctype", "a", "article", "b", "body", "button", "code", "dd", "details", "div", "dl", "dt", "form",
    "h1", "h2", "h3", "head", "header", "html", "input", "label", "li", "main", "meta", "nav", "option", "p",
    "rect", "section", "select", "small", "span", "strong", "summary", "svg", "table", "tbody", "td", "th",
    "thead", "time", "tr", "ul",
];

/// A file of events, or of anything else. The page has no element of others, nothing in it is unseen, and its script can read the data.
pub fn report(data: &[u8]) {
    let mut report = Report::default();
    report.read("events", &mut &*data, |_| ()).expect("memory that can be read");
    let mut page = Vec::new();
    report.write(&mut page).expect("memory that can be written");
    let page = String::from_utf8(page).expect("UTF-8");
    let harmful = |char: char| {
        char.is_control() && char != '\n'
            || matches!(char, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!page.contains(harmful), "something unseen");
    let (_, body) = page.split_once("</style>").expect("a style");
    let (body, rest) = body.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
    for tag in body.split('<').skip(1).map(|tag| tag.trim_start_matches('/')) {
        let name = tag.split([' ', '>']).next().unwrap_or_default();
        assert!(KNOWN.contains(&name), "<{name}>");
    }
    let (data, _) = rest.split_once("</script>").expect("the end of the data");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["at"].as_array().map(Vec::len), data["unknown"].as_array().map(Vec::len));
}
