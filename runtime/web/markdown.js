// Markdown to DOM nodes. Text only ever becomes text nodes, so nothing an answer says can become markup.

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}>\s?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function safeLink(target) {
  // Only what leads out of the page and can run nothing: no javascript:, no data:.
  try {
    const url = new URL(target);
    return ["https:", "http:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const INLINE = /(`+)([\s\S]*?[^`])\1(?!`)|!?\[([^\[\]]*)\]\(\s*<?([^()\s<>]*(?:\([^()\s]*\)[^()\s<>]*)*)>?[^)]*\)|<?(https?:\/\/[^\s<>"')\]]+[^\s<>"')\].,;:!?])>?|\\([\\`*_{}\[\]()#+\-.!|~>])|(\*\*\*|\*\*|\*|~~)(?=\S)([\s\S]*?\S)\7|(?<![\w])(__|_)(?=\S)([\s\S]*?\S)\9(?![\w])|( {2,}|\\)\n/;

function inline(text, into, depth = 0) {
  let rest = text;
  while (rest) {
    const found = depth < 8 ? INLINE.exec(rest) : null;
    if (!found) break;
    if (found.index) into.append(rest.slice(0, found.index));
    const [all, , code, label, target, bare, escaped, stars, starred, , scored] = found;
    if (code !== undefined) into.append(element("code", code.replace(/^ (.*) $/s, "$1")));
    else if (label !== undefined || bare !== undefined) {
      const href = safeLink(bare ?? target);
      if (href) {
        const link = element("a");
        link.href = href;
        link.target = "_blank";
        link.rel = "noopener noreferrer";
        if (bare !== undefined) link.append(bare);
        else inline(label || target, link, depth + 1);
        into.append(link);
      } else into.append(bare ?? (label || target));
    } else if (escaped !== undefined) into.append(escaped);
    else if (starred !== undefined || scored !== undefined) {
      const mark = stars ?? found[9];
      const name = mark === "~~" ? "del" : mark.length === 1 ? "em" : "strong";
      const node = element(name);
      const target = mark.length === 3 ? node.appendChild(element("em")) : node;
      inline(starred ?? scored, target, depth + 1);
      into.append(node);
    } else into.append(element("br"));
    rest = rest.slice(found.index + all.length);
  }
  if (rest) into.append(rest);
}

function paragraph(name, text) {
  const node = element(name);
  inline(text, node);
  return node;
}

function codeBlock(language, lines, copy) {
  const button = element("button", "Copy");
  button.type = "button";
  const text = lines.join("\n");
  button.addEventListener("click", () => copy(text, button));
  const block = element("div", element("div", element("span", language || "code"), button), element("pre", element("code", text)));
  block.className = "code";
  return block;
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function table(rows) {
  const head = element("tr", ...cells(rows[0]).map((cell) => paragraph("th", cell)));
  const body = rows.slice(2).map((row) => element("tr", ...cells(row).map((cell) => paragraph("td", cell))));
  const frame = element("div", element("table", element("thead", head), element("tbody", ...body)));
  frame.className = "table";
  return frame;
}

function list(lines, copy, depth) {
  const [, indent, marker] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(marker);
  const node = element(ordered ? "ol" : "ul");
  if (ordered) node.start = parseInt(marker, 10);
  let item = [];
  const close = () => {
    if (!item.length) return;
    const li = element("li");
    blocks(item, li, copy, depth + 1);
    const only = li.firstElementChild;
    // A tight item's text stands in the item itself.
    if (only?.tagName === "P") only.replaceWith(...only.childNodes);
    node.append(li);
    item = [];
  };
  for (const line of lines) {
    const start = ITEM.exec(line);
    if (start && start[1].length <= indent.length + 1) {
      close();
      item.push(start[3]);
    } else item.push(line.replace(new RegExp(`^ {0,${indent.length + marker.length + 1}}`), ""));
  }
  close();
  return node;
}

function blocks(lines, into, copy, depth) {
  let at = 0;
  const run = (start, more) => {
    let end = start;
    while (end < lines.length && more(lines[end], end)) end++;
    at = end;
    return lines.slice(start, end);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (!line.trim()) at++;
    else if (fence) {
      const body = run(at + 1, (text) => !(text.trim().startsWith(fence[1]) && !text.trim().replaceAll(fence[1][0], "")));
      at++; // the closing fence, or the end of an answer that still streams
      into.append(codeBlock(fence[2], body, copy));
    } else if (heading) {
      into.append(paragraph(`h${Math.min(heading[1].length, 4)}`, heading[2]));
      at++;
    } else if (RULE.test(line)) {
      into.append(element("hr"));
      at++;
    } else if (QUOTE.test(line) && depth < 8) {
      const quote = element("blockquote");
      blocks(run(at, (text) => QUOTE.test(text)).map((text) => text.replace(QUOTE, "")), quote, copy, depth + 1);
      into.append(quote);
    } else if (ITEM.test(line) && depth < 8) {
      const inside = (text, index) =>
        ITEM.test(text) || /^ {2,}\S/.test(text) || (!text.trim() && (ITEM.test(lines[index + 1] ?? "") || /^ {2,}\S/.test(lines[index + 1] ?? "")));
      into.append(list(run(at, inside), copy, depth));
    } else if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("-")) {
      into.append(table(run(at, (text) => text.includes("|"))));
    } else {
      const text = run(at, (next, index) => next.trim() && (index === at || !(FENCE.test(next) || HEADING.test(next) || QUOTE.test(next) || ITEM.test(next) || RULE.test(next))));
      into.append(paragraph("p", text.join("\n")));
    }
  }
}

/** Render `text` into `into`, replacing what it held. `copy(text, button)` is called by a code block's button. */
export function renderMarkdown(text, into, copy) {
  into.replaceChildren();
  blocks(text.split("\n"), into, copy, 0);
}
