//! Views as JSON.
use crate::view::View;
use serde_json::{Value, json};

/// One JSON value and a line end.
pub fn render(view: &View) -> String {
    let value = match view {
        View::States(rows) => json!(rows),
        View::Events(rows) => json!(rows),
        View::Failovers(rows) => json!(rows),
        View::Uris(rows) => json!(rows),
        View::Value(setting) => json!(setting),
        View::Settings(settings) => {
            settings.iter().map(|setting| (setting.key.clone(), Value::from(setting.value.clone()))).collect()
        }
        View::Findings(findings) => json!(findings),
        View::Rows(rows) => rows.json.clone(),
        View::Outcome { values, .. } => json!(values),
        View::Nothing => return String::new(),
    };
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Setting;

    #[test]
    fn settings_are_one_object() {
        let setting = Setting { key: "pg_autoctl.group".into(), value: "0".into() };
        assert_eq!(render(&View::Settings(vec![setting])), "{\n  \"pg_autoctl.group\": \"0\"\n}\n");
    }
}
