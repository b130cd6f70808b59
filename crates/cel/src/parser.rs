//! Tokens into expressions. Operators become calls of functions under their signs; macros get forms of their own.

use crate::SyntaxError;
use crate::ast::{Expr, Literal, Over, OverKind};
use crate::lexer::{Kind, Token, tokens};

/// How deep expressions may be nested, which bounds the stack of whoever walks them.
const DEPTH: usize = 100;
/// How long an expression may be, in octets (upstream's limit is in characters).
const LENGTH: usize = 100_000;

/// Words that are no names.
pub const RESERVED: [&str; 17] = [
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
    "while",
];

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    if text.len() > LENGTH {
        let why = format!("expression code point size exceeds limit: size: {}, limit {LENGTH}", text.len());
        return Err(SyntaxError::new(text, 0, why));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.kind() {
        Kind::End => Ok(expr),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
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

    fn need(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.take(sign) { Ok(()) } else { Err(self.fault(format!("expecting '{sign}'"))) }
    }

    fn fault(&self, why: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.text, self.tokens[self.at].at, why)
    }

    fn unexpected(&self) -> SyntaxError {
        let at = self.tokens[self.at].at;
        let end = self.tokens.get(self.at + 1).map_or(self.text.len(), |next| next.at);
        let found = match self.kind() {
            Kind::End => "<EOF>",
            _ => self.text[at..end].trim_end(),
        };
        self.fault(format!("mismatched input '{found}'"))
    }

    fn expr(&mut self) -> Result<Expr, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fault(format!("expression recursion limit exceeded: {DEPTH}")));
        }
        let condition = self.or()?;
        let expr = if self.take("?") {
            let then = self.or()?;
            self.need(":")?;
            let otherwise = self.expr()?;
            Expr::If(Box::new((condition, then, otherwise)))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn or(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.and()?;
        let mut count = 0;
        while self.take("||") {
            self.bounded(&mut count)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.relation()?;
        let mut count = 0;
        while self.take("&&") {
            self.bounded(&mut count)?;
            left = Expr::And(Box::new(left), Box::new(self.relation()?));
        }
        Ok(left)
    }

    /// Chains of one operator nest to the left as deep as they are long.
    fn bounded(&self, count: &mut usize) -> Result<(), SyntaxError> {
        *count += 1;
        if *count > 10 * DEPTH { Err(self.fault("too many operators in a row")) } else { Ok(()) }
    }

    fn relation(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.sum()?;
        let mut count = 0;
        loop {
            let sign = match self.kind() {
                Kind::Sign(sign) if matches!(*sign, "<" | "<=" | ">" | ">=" | "==" | "!=") => *sign,
                Kind::Word(word) if &**word == "in" => "in",
                _ => return Ok(left),
            };
            self.at += 1;
            self.bounded(&mut count)?;
            let right = self.sum()?;
            left = call(sign, vec![left, right]);
        }
    }

    fn sum(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.product()?;
        let mut count = 0;
        while let Kind::Sign(sign @ ("+" | "-")) = *self.kind() {
            self.at += 1;
            self.bounded(&mut count)?;
            left = call(sign, vec![left, self.product()?]);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, SyntaxError> {
        let mut left = self.unary()?;
        let mut count = 0;
        while let Kind::Sign(sign @ ("*" | "/" | "%")) = *self.kind() {
            self.at += 1;
            self.bounded(&mut count)?;
            left = call(sign, vec![left, self.unary()?]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, SyntaxError> {
        let mut signs = Vec::new();
        while let Kind::Sign(sign @ ("!" | "-")) = *self.kind() {
            self.at += 1;
            signs.push(sign);
            if signs.len() > DEPTH {
                return Err(self.fault("too many operators in a row"));
            }
        }
        // The least whole number has no positive twin.
        if signs.last() == Some(&"-")
            && let Kind::Int(number) = *self.kind()
            && !matches!(self.tokens[self.at + 1].kind, Kind::Sign("." | "["))
        {
            let least = i64::try_from(number).map(|number| -number);
            let least = if number == 1 << 63 { Ok(i64::MIN) } else { least };
            let least = least.map_err(|_| self.fault("number out of range"))?;
            self.at += 1;
            signs.pop();
            let literal = Expr::Literal(Literal::Int(least));
            return Ok(signs
                .into_iter()
                .rev()
                .fold(literal, |expr, sign| call(unary_name(sign), vec![expr])));
        }
        let member = self.member()?;
        Ok(signs.into_iter().rev().fold(member, |expr, sign| call(unary_name(sign), vec![expr])))
    }

    fn member(&mut self) -> Result<Expr, SyntaxError> {
        let mut expr = self.primary()?;
        let mut count = 0;
        loop {
            if self.take(".") {
                let optional = self.take("?");
                let Kind::Word(field) = self.step() else { return Err(self.unexpected()) };
                if !optional && self.take("(") {
                    let arguments = self.arguments(")")?;
                    expr = self.method(expr, &field, arguments)?;
                } else {
                    expr = Expr::Field { of: Box::new(expr), field, optional };
                }
            } else if self.take("[") {
                let optional = self.take("?");
                let at = Box::new(self.expr()?);
                self.need("]")?;
                expr = Expr::Index { of: Box::new(expr), at, optional };
            } else {
                return Ok(expr);
            }
            self.bounded(&mut count)?;
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expr>, SyntaxError> {
        let mut arguments = Vec::new();
        while !self.take(end) {
            arguments.push(self.expr()?);
            if !self.is(end) {
                self.need(",")?;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Expr, SyntaxError> {
        let literal = match self.kind().clone() {
            Kind::Sign("(") => {
                self.at += 1;
                let expr = self.expr()?;
                self.need(")")?;
                return Ok(expr);
            }
            Kind::Sign("[") => {
                self.at += 1;
                return self.list();
            }
            Kind::Sign("{") => {
                self.at += 1;
                return self.map();
            }
            Kind::Sign(".") => {
                self.at += 1;
                return self.primary();
            }
            Kind::Word(word) => {
                self.at += 1;
                match &*word {
                    "null" => Literal::Null,
                    "true" => Literal::Bool(true),
                    "false" => Literal::Bool(false),
                    word if RESERVED.contains(&word) => {
                        self.at -= 1;
                        return Err(self.fault(format!("reserved identifier: {word}")));
                    }
                    _ if self.take("(") => {
                        let arguments = self.arguments(")")?;
                        return self.function(&word, arguments);
                    }
                    _ => return Ok(Expr::Name(word)),
                }
            }
            Kind::Int(number) => {
                let number = i64::try_from(number).map_err(|_| self.fault("number out of range"))?;
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
            Kind::Sign(_) | Kind::End => return Err(self.unexpected()),
        };
        Ok(Expr::Literal(literal))
    }

    fn list(&mut self) -> Result<Expr, SyntaxError> {
        let mut items = Vec::new();
        while !self.take("]") {
            let optional = self.take("?");
            items.push((self.expr()?, optional));
            if !self.is("]") {
                self.need(",")?;
            }
        }
        Ok(Expr::List(items))
    }

    fn map(&mut self) -> Result<Expr, SyntaxError> {
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
        Ok(Expr::Map(entries))
    }

    fn function(&self, name: &str, mut arguments: Vec<Expr>) -> Result<Expr, SyntaxError> {
        if name == "has" {
            return match (arguments.len(), arguments.pop()) {
                (1, Some(Expr::Field { of, field, optional: false })) => Ok(Expr::Has { of, field }),
                _ => Err(self.fault("invalid argument to has() macro")),
            };
        }
        Ok(Expr::Call { function: name.into(), target: None, arguments })
    }

    fn method(&self, target: Expr, name: &str, arguments: Vec<Expr>) -> Result<Expr, SyntaxError> {
        if let Expr::Name(of) = &target
            && (&**of, name, arguments.len()) == ("cel", "bind", 3)
        {
            let mut parts = arguments.into_iter();
            if let (Some(Expr::Name(bound)), Some(value), Some(then)) =
                (parts.next(), parts.next(), parts.next())
            {
                return Ok(Expr::Bind(bound, Box::new((value, then))));
            }
            return Err(self.fault("cel.bind() variable names must be simple identifiers"));
        }
        let kind = match (name, arguments.len()) {
            ("all", 2 | 3) => OverKind::All,
            ("exists", 2 | 3) => OverKind::Exists,
            ("exists_one", 2 | 3) | ("existsOne", 2 | 3) => OverKind::ExistsOne,
            ("filter", 2) => OverKind::Filter,
            ("map", 2 | 3) | ("transformList", 3 | 4) => OverKind::Map,
            ("transformMap", 3 | 4) => OverKind::TransformMap,
            _ => {
                return Ok(Expr::Call { function: name.into(), target: Some(Box::new(target)), arguments });
            }
        };
        self.over(kind, name, target, arguments)
    }

    fn over(
        &self,
        kind: OverKind,
        macro_name: &str,
        range: Expr,
        arguments: Vec<Expr>,
    ) -> Result<Expr, SyntaxError> {
        let count = arguments.len();
        // `map(x, f, t)` has one name; what has two names has them before its expressions.
        let two = match kind {
            OverKind::All | OverKind::Exists | OverKind::ExistsOne => count == 3,
            OverKind::Filter => false,
            OverKind::Map => macro_name == "transformList",
            OverKind::TransformMap => true,
        };
        let mut arguments = arguments.into_iter();
        let mut name = || match arguments.next() {
            Some(Expr::Name(name)) => Ok(name),
            _ => Err(self.fault("argument must be a simple name")),
        };
        let first = name()?;
        let second = if two { Some(name()?) } else { None };
        let rest: Vec<Expr> = arguments.collect();
        let makes = matches!(kind, OverKind::Map | OverKind::TransformMap);
        let (condition, result) = match (makes, rest.len()) {
            (false, _) => (rest.into_iter().next(), None),
            (true, 1) => (None, rest.into_iter().next()),
            (true, _) => {
                let mut rest = rest.into_iter();
                (rest.next(), rest.next())
            }
        };
        Ok(Expr::Over(Box::new(Over { kind, range, name: first, second, condition, result })))
    }
}

fn unary_name(sign: &str) -> &'static str {
    if sign == "!" { "!" } else { "negate" }
}

fn call(function: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Call { function: function.into(), target: None, arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_the_language_says() {
        let shape = |text: &str| format!("{:?}", parse(text).unwrap());
        assert_eq!(shape("1 + 2 * 3"), shape("1 + (2 * 3)"));
        assert_eq!(shape("1 - 2 - 3"), shape("(1 - 2) - 3"));
        assert_eq!(shape("a || b && c"), shape("a || (b && c)"));
        assert_eq!(shape("!a.b"), shape("!(a.b)"));
        assert_eq!(shape("a ? b : c ? d : e"), shape("a ? b : (c ? d : e)"));
        assert_eq!(shape("-1"), "Literal(Int(-1))");
        assert_eq!(shape("-9223372036854775808"), format!("Literal(Int({}))", i64::MIN));
        assert_eq!(shape("x in [1]"), shape("(x) in ([1])"));
    }

    #[test]
    fn what_is_not_an_expression_is_refused_where_it_breaks() {
        let refused = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(refused("1 +"), "Syntax error: 1:3: mismatched input '<EOF>'");
        assert!(refused("self.a(").contains("mismatched input"));
        assert!(refused("has(a)").contains("invalid argument to has() macro"));
        assert!(refused("a.all(1, true)").contains("argument must be a simple name"));
        assert!(refused("for").contains("reserved identifier: for"));
        assert!(parse(&"(".repeat(10_000)).is_err());
        assert!(parse(&format!("{}1", "!".repeat(10_000))).is_err());
    }
}
