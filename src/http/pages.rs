//! Owns the server-rendered pages: templates with HTML escaping always on.
//!
//! Never marks a text as safe: everything that a caller or a person wrote is escaped by the engine.

use minijinja::{AutoEscape, Environment};
use serde::Serialize;

/// The templates, built into the binary.
#[derive(Debug)]
pub struct Pages {
    environment: Environment<'static>,
}

/// Name and text of every page template.
const TEMPLATES: [(&str, &str); 3] = [
    ("base.html", include_str!("../../templates/web/base.html")),
    ("docs.html", include_str!("../../templates/web/docs.html")),
    ("demo.html", include_str!("../../templates/web/demo.html")),
];

/// A built-in template is broken; the name and the engine's word.
#[derive(Debug, thiserror::Error)]
#[error("the page template {name} does not load: {source}")]
pub struct BrokenTemplate {
    name: &'static str,
    source: minijinja::Error,
}

impl Pages {
    /// Loads the templates.
    ///
    /// # Errors
    /// When one is broken.
    pub fn new() -> Result<Self, BrokenTemplate> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text).map_err(|source| BrokenTemplate { name, source })?;
        }
        Ok(Self { environment })
    }

    /// Renders a page; an empty one, and an error in the log, when its data do not fit.
    pub fn render<S: Serialize>(&self, name: &str, data: &S) -> String {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(minijinja::value::Serde(data)));
        rendered.unwrap_or_else(|error| {
            tracing::error!(page = name, error = %error, "a page could not be rendered");
            String::new()
        })
    }
}
