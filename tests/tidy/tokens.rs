//! A source file as a flat list of tokens, so that rules see code and neither comments nor strings.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::files::File;

/// A token that is not a literal. `::` is one token.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Whether it stands in a `#[cfg(test)]` module.
    pub(crate) in_tests: bool,
    /// How many inline modules are around it.
    pub(crate) modules: usize,
}

/// The tokens of a file. What is no Rust (a compile-fail case) has none.
pub(crate) fn of(file: &File) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Ok(stream) = TokenStream::from_str(&file.text) {
        flatten(stream, false, 0, &mut tokens);
    }
    tokens
}

/// The lines where these tokens stand in a row.
pub(crate) fn lines_with<'a>(
    tokens: &'a [Token],
    name: &'a [&str],
) -> impl Iterator<Item = usize> + 'a {
    let same = move |window: &[Token]| {
        window
            .iter()
            .zip(name)
            .all(|(token, text)| token.text == *text)
    };
    tokens
        .windows(name.len())
        .filter(move |w| same(w))
        .map(|w| w[0].line)
}

fn flatten(stream: TokenStream, in_tests: bool, modules: usize, tokens: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut test_module_follows = false;
    let mut module_follows = false;
    for (i, tree) in trees.iter().enumerate() {
        let line = tree.span().start().line;
        let mut push = |text: String| {
            tokens.push(Token {
                text,
                line,
                in_tests,
                modules,
            })
        };
        match tree {
            TokenTree::Group(group) => {
                let is_attribute = group.delimiter() == Delimiter::Bracket;
                if is_attribute && group.stream().to_string().replace(' ', "") == "cfg(test)" {
                    test_module_follows = true;
                }
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned());
                let is_body = group.delimiter() == Delimiter::Brace;
                let tests = in_tests || (is_body && test_module_follows);
                let inner = modules + usize::from(is_body && module_follows);
                flatten(group.stream(), tests, inner, tokens);
                tokens.push(Token {
                    text: close.to_owned(),
                    line,
                    in_tests,
                    modules,
                });
                if is_body {
                    test_module_follows = false;
                    module_follows = false;
                }
            }
            TokenTree::Ident(ident) => {
                if ident == "mod" {
                    module_follows = true;
                }
                push(ident.to_string());
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                ':' if matches!(trees.get(i + 1), Some(TokenTree::Punct(p)) if p.as_char() == ':') =>
                {
                    push("::".to_owned());
                }
                ':' if i > 0
                    && matches!(&trees[i - 1], TokenTree::Punct(p) if p.as_char() == ':') => {}
                ';' => {
                    test_module_follows = false;
                    module_follows = false;
                    push(";".to_owned());
                }
                other => push(other.to_string()),
            },
            TokenTree::Literal(_) => {}
        }
    }
}
