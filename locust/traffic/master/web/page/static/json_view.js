// A record's JSON with line breaks. Only white space changes: numbers, escapes and doubled names stay as they were
// sent, which JSON.parse would not leave so.

const INDENT = "  ";

/**
 * @param {string} text
 * @returns {string} `text` itself if it is not JSON
 */
export function jsonView(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(/"(?:[^"\\]+|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let [made, depth] = ["", 0];
  tokens.forEach((token, at) => {
    const before = tokens[at - 1];
    const closing = token === "}" || token === "]";
    const opened = before === "{" || before === "[";
    if (closing) depth -= 1;
    if (at > 0 && (closing ? !opened : opened || before === ",")) made += `\n${INDENT.repeat(depth)}`;
    made += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth += 1;
  });
  return made;
}
