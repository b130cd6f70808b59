//! Tokens into expressions. Operators become calls of functions under their signs; macros get forms of their own.

mod macros;

use crate::ast::{Expr, ExprKind, Literal};
use crate::issues::Issue;
use crate::lexer::{Kind, Token, tokens};

/// How deep parentheses and their like may be nested, which bounds the stack of the parser.
const DEPTH: usize = 100;
/// How high the tree of an expression may be, which bounds the stack of whoever walks it.
const HEIGHT: u16 = 200;
/// How long an expression may be, in octets (upstream's limit is in characters).
const LENGTH: usize = 100_000;

/// Words that are no names.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether a word is the language's own: a literal, or none of its names.
pub fn is_word(word: &str) -> bool {
    RESERVED.contains(&word) || ["true", "false", "null"].contains(&word)
}

/// What an operand may begin with, as the grammar calls it.
const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// An expression and where its parts stand.
#[derive(Debug)]
pub struct Parsed {
    /// The expression.
    pub expr: Expr,
    /// The octet at which each part stands, by its number: an operator's sign, a call's parenthesis, a field's dot.
    pub places: Vec<u32>,
}

/// Reads an expression.
pub fn parse(text: &str) -> Result<Parsed, Issue> {
    if text.len() > LENGTH {
        let why = format!("expression code point size exceeds limit: size: {}, limit {LENGTH}", text.len());
        return Err(Issue::new(0, why));
    }
    let mut parser =
        Parser { text, tokens: tokens(text)?, at: 0, depth: 0, places: Vec::new(), heights: Vec::new() };
    let expr = parser.expr()?;
    match parser.kind() {
        Kind::End => Ok(Parsed { expr, places: parser.places }),
        _ => Err(parser.unexpected("<EOF>")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    places: Vec<u32>,
    heights: Vec<u16>,
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    /// Where the token stands that comes next.
    fn here(&self) -> usize {
        self.tokens[self.at].at
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.kind(), Kind::Sign(own) if *own == sign)
    }

    fn step(&mut self) -> Kind {
        let kind = self.kind().clone();
        if kind != Kind::End {
            self.at += 1;
        }
        kind
    }

    fn take(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        if is {
            self.at += 1;
        }
        is
    }

    fn need(&mut self, sign: &str) -> Result<(), Issue> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    fn fault(&self, why: impl AsRef<str>) -> Issue {
        Issue::new(self.here(), format!("Syntax error: {}", why.as_ref()))
    }

    fn unexpected(&self, expected: &str) -> Issue {
        let end = self.tokens.get(self.at + 1).map_or(self.text.len(), |next| next.at);
        let found = match self.kind() {
            Kind::End => "<EOF>",
            _ => self.text[self.here()..end].trim_end(),
        };
        self.fault(format!("mismatched input '{found}' expecting {expected}"))
    }

    /// Makes an expression of parts that are made already.
    fn node(&mut self, at: usize, kind: ExprKind) -> Result<Expr, Issue> {
        let id = self.places.len() as u32;
        let expr = Expr { id, kind };
        let below = expr.children().into_iter().map(|child| self.heights[child.id as usize]).max();
        let height = below.map_or(0, |below| below + 1);
        if height > HEIGHT {
            return Err(Issue::new(at, format!("expression recursion limit exceeded: {HEIGHT}")));
        }
        self.places.push(u32::try_from(at).unwrap_or(u32::MAX));
        self.heights.push(height);
        Ok(expr)
    }

    fn call(&mut self, at: usize, function: &str, arguments: Vec<Expr>) -> Result<Expr, Issue> {
        self.node(at, ExprKind::Call { function: function.into(), target: None, arguments })
    }

    fn expr(&mut self) -> Result<Expr, Issue> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Issue::new(self.here(), format!("expression recursion limit exceeded: {DEPTH}")));
        }
        let condition = self.logical("||")?;
        let at = self.here();
        let expr = if self.take("?") {
            let then = self.logical("||")?;
            self.need(":")?;
            let otherwise = self.expr()?;
            self.node(at, ExprKind::If(Box::new((condition, then, otherwise))))?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expr)
    }

    /// Chains of `||` and `&&` become balanced trees, so that long ones are not deep.
    fn logical(&mut self, sign: &'static str) -> Result<Expr, Issue> {
        let next = |parser: &mut Self| if sign == "||" { parser.logical("&&") } else { parser.relation() };
        let mut terms = vec![Some(next(self)?)];
        let mut places = Vec::new();
        while self.is(sign) {
            places.push(self.here());
            self.at += 1;
            terms.push(Some(next(self)?));
        }
        self.balanced(sign, &mut terms, &places)
    }

    fn balanced(&mut self, sign: &str, terms: &mut [Option<Expr>], places: &[usize]) -> Result<Expr, Issue> {
        if let [term] = terms {
            return Ok(term.take().expect("each term is taken once"));
        }
        let middle = places.len() / 2;
        let (left, right) = terms.split_at_mut(middle + 1);
        let left = Box::new(self.balanced(sign, left, &places[..middle])?);
        let right = Box::new(self.balanced(sign, right, &places[middle + 1..])?);
        let kind = if sign == "||" { ExprKind::Or(left, right) } else { ExprKind::And(left, right) };
        self.node(places[middle], kind)
    }

    fn relation(&mut self) -> Result<Expr, Issue> {
        let mut left = self.sum()?;
        loop {
            let function = match self.kind() {
                Kind::Sign("<") => "_<_",
                Kind::Sign("<=") => "_<=_",
                Kind::Sign(">") => "_>_",
                Kind::Sign(">=") => "_>=_",
                Kind::Sign("==") => "_==_",
                Kind::Sign("!=") => "_!=_",
                Kind::Word(word) if &**word == "in" => "@in",
                _ => return Ok(left),
            };
            let at = self.here();
            self.at += 1;
            let right = self.sum()?;
            left = self.call(at, function, vec![left, right])?;
        }
    }

    fn sum(&mut self) -> Result<Expr, Issue> {
        let mut left = self.product()?;
        loop {
            let function = match self.kind() {
                Kind::Sign("+") => "_+_",
                Kind::Sign("-") => "_-_",
                _ => return Ok(left),
            };
            let at = self.here();
            self.at += 1;
            let right = self.product()?;
            left = self.call(at, function, vec![left, right])?;
        }
    }

    fn product(&mut self) -> Result<Expr, Issue> {
        let mut left = self.unary()?;
        loop {
            let function = match self.kind() {
                Kind::Sign("*") => "_*_",
                Kind::Sign("/") => "_/_",
                Kind::Sign("%") => "_%_",
                _ => return Ok(left),
            };
            let at = self.here();
            self.at += 1;
            let right = self.unary()?;
            left = self.call(at, function, vec![left, right])?;
        }
    }

    fn unary(&mut self) -> Result<Expr, Issue> {
        let mut signs = Vec::new();
        while let Kind::Sign(sign @ ("!" | "-")) = *self.kind() {
            signs.push((self.here(), if sign == "!" { "!_" } else { "-_" }));
            self.at += 1;
        }
        // The least whole number has no positive twin.
        let mut expr = if let Some((at, "-_")) = signs.last().copied()
            && let Kind::Int(number) = *self.kind()
            && !matches!(self.tokens[self.at + 1].kind, Kind::Sign("." | "["))
        {
            let least = i64::try_from(number).map(|number| -number);
            let least = if number == 1 << 63 { Ok(i64::MIN) } else { least };
            let least = least.map_err(|_| self.fault("invalid int literal"))?;
            self.at += 1;
            signs.pop();
            self.node(at, ExprKind::Literal(Literal::Int(least)))?
        } else {
            self.member()?
        };
        for (at, function) in signs.into_iter().rev() {
            expr = self.call(at, function, vec![expr])?;
        }
        Ok(expr)
    }

    fn member(&mut self) -> Result<Expr, Issue> {
        let mut expr = self.primary()?;
        loop {
            let at = self.here();
            if self.take(".") {
                let optional = self.take("?");
                if !matches!(self.kind(), Kind::Word(_)) {
                    return Err(self.unexpected("IDENTIFIER"));
                }
                let Kind::Word(field) = self.step() else { continue };
                let open = self.here();
                if !optional && self.take("(") {
                    let arguments = self.arguments(")")?;
                    expr = self.method(open, expr, &field, arguments)?;
                } else {
                    expr = self.node(at, ExprKind::Field { of: Box::new(expr), field, optional })?;
                }
            } else if self.take("[") {
                let optional = self.take("?");
                let index = Box::new(self.expr()?);
                self.need("]")?;
                expr = self.node(at, ExprKind::Index { of: Box::new(expr), at: index, optional })?;
            } else if self.is("{")
                && let Some(name) = dotted(&expr)
            {
                self.at += 1;
                let fields = self.fields()?;
                expr = self.node(at, ExprKind::Message(name.into(), fields))?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expr>, Issue> {
        let mut arguments = Vec::new();
        while !self.take(end) {
            arguments.push(self.expr()?);
            if !self.is(end) {
                self.need(",")?;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Expr, Issue> {
        let at = self.here();
        let literal = match self.kind().clone() {
            Kind::Sign("(") => {
                self.at += 1;
                let expr = self.expr()?;
                self.need(")")?;
                return Ok(expr);
            }
            Kind::Sign("[") => {
                self.at += 1;
                return self.list(at);
            }
            Kind::Sign("{") => {
                self.at += 1;
                return self.map(at);
            }
            Kind::Sign(".") if matches!(self.tokens[self.at + 1].kind, Kind::Word(_)) => {
                self.at += 1;
                return self.primary();
            }
            Kind::Word(word) => {
                let literal = match &*word {
                    "null" => Some(Literal::Null),
                    "true" => Some(Literal::Bool(true)),
                    "false" => Some(Literal::Bool(false)),
                    word if RESERVED.contains(&word) => {
                        return Err(self.fault(format!("reserved identifier: {word}")));
                    }
                    _ => None,
                };
                self.at += 1;
                let open = self.here();
                match literal {
                    Some(literal) => literal,
                    None if self.take("(") => {
                        let arguments = self.arguments(")")?;
                        return self.function(open, &word, arguments);
                    }
                    None => return self.node(at, ExprKind::Name(word)),
                }
            }
            Kind::Int(number) => {
                let number = i64::try_from(number).map_err(|_| self.fault("invalid int literal"))?;
                self.at += 1;
                Literal::Int(number)
            }
            Kind::Uint(number) => {
                self.at += 1;
                Literal::Uint(number)
            }
            Kind::Double(number) => {
                self.at += 1;
                Literal::Double(number)
            }
            Kind::String(text) => {
                self.at += 1;
                Literal::String(text)
            }
            Kind::Bytes(bytes) => {
                self.at += 1;
                Literal::Bytes(bytes)
            }
            Kind::Sign(_) | Kind::End => return Err(self.unexpected(OPERAND)),
        };
        self.node(at, ExprKind::Literal(literal))
    }

    fn list(&mut self, at: usize) -> Result<Expr, Issue> {
        let mut items = Vec::new();
        while !self.take("]") {
            let optional = self.take("?");
            items.push((self.expr()?, optional));
            if !self.is("]") {
                self.need(",")?;
            }
        }
        self.node(at, ExprKind::List(items))
    }

    fn map(&mut self, at: usize) -> Result<Expr, Issue> {
        let mut entries = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            let key = self.expr()?;
            self.need(":")?;
            entries.push((key, self.expr()?, optional));
            if !self.is("}") {
                self.need(",")?;
            }
        }
        self.node(at, ExprKind::Map(entries))
    }

    fn fields(&mut self) -> Result<Vec<(Box<str>, Expr, bool)>, Issue> {
        let mut fields = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            if !matches!(self.kind(), Kind::Word(_)) {
                return Err(self.unexpected("IDENTIFIER"));
            }
            let Kind::Word(name) = self.step() else { continue };
            self.need(":")?;
            fields.push((name, self.expr()?, optional));
            if !self.is("}") {
                self.need(",")?;
            }
        }
        Ok(fields)
    }
}

/// A name with dots, where an expression is one: `google.protobuf.Timestamp`, and names of functions and messages.
pub fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.to_string()),
        ExprKind::Field { of, field, optional: false } => Some(format!("{}.{field}", dotted(of)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Expr {
        parse(text).unwrap_or_else(|issue| panic!("{text}: {issue:?}")).expr
    }

    #[test]
    fn operators_bind_as_the_language_says() {
        let same = |left: &str, right: &str| assert_eq!(parsed(left), parsed(right), "{left}");
        same("1 + 2 * 3", "1 + (2 * 3)");
        same("1 - 2 - 3", "(1 - 2) - 3");
        same("a || b && c", "a || (b && c)");
        same("!a.b", "!(a.b)");
        same("a ? b : c ? d : e", "a ? b : (c ? d : e)");
        same("x in [1]", "(x) in ([1])");
        let literal = |text: &str| parsed(text).kind;
        assert_eq!(literal("-1"), ExprKind::Literal(Literal::Int(-1)));
        assert_eq!(literal("-9223372036854775808"), ExprKind::Literal(Literal::Int(i64::MIN)));
        assert!(
            matches!(literal("Object.spec{replicas: 1}"), ExprKind::Message(name, _) if &*name == "Object.spec")
        );
    }

    #[test]
    fn what_is_not_an_expression_is_refused_where_it_breaks() {
        let refused = |text: &str| {
            let issue = parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            format!("{} {}", issue.at, issue.why)
        };
        assert_eq!(refused("1 +"), format!("3 Syntax error: mismatched input '<EOF>' expecting {OPERAND}"));
        assert_eq!(refused("a b"), "2 Syntax error: mismatched input 'b' expecting <EOF>");
        assert!(refused("self.a(").contains("mismatched input"));
        assert!(refused("has(a)").contains("invalid argument to has() macro"));
        assert!(refused("a.all(1, true)").contains("argument must be a simple name"));
        assert!(refused("for").contains("reserved identifier: for"));
        assert!(refused(&"(".repeat(10_000)).contains("limit exceeded"));
        assert!(refused(&format!("{}1", "!".repeat(10_000))).contains("limit exceeded"));
        assert!(refused(&format!("1{}", "+1".repeat(10_000))).contains("limit exceeded"));
        assert!(refused(&format!("a{}", ".b".repeat(10_000))).contains("limit exceeded"));
        // Long chains of conditions are not deep.
        assert!(parse(&format!("a{}", " && a".repeat(10_000))).is_ok());
    }
}
