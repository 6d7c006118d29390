// What nginx's own directives cannot say about URL Rewrite: letter case, escapes, and the addresses of redirects.
// webconfig/rewriting/evaluate.py says what each must come to. Texts are bytes, in and out.

const SLOTS = 20;
const UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
const OF_ADDRESSES = UNRESERVED + "/:?#[]@!$&'()*+,;=";
const HEXADECIMAL = "0123456789ABCDEF";
const SLASH = 47;
const QUESTION_MARK = 63;
const PERCENT = 37;

function isHexadecimal(byte) {
    return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 70) || (byte >= 97 && byte <= 102);
}

function isEscape(bytes, at) {
    return bytes[at] === PERCENT && isHexadecimal(bytes[at + 1]) && isHexadecimal(bytes[at + 2]);
}

function encoded(bytes, safe, keepEscapes) {
    let text = "";
    for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at];
        const character = String.fromCharCode(byte);
        if ((byte < 128 && safe.indexOf(character) >= 0) || (keepEscapes && isEscape(bytes, at))) {
            text += character;
        } else {
            text += "%" + HEXADECIMAL[byte >> 4] + HEXADECIMAL[byte & 15];
        }
    }
    return text;
}

function lowered(bytes) {
    const result = [];
    for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at];
        result.push(byte >= 65 && byte <= 90 ? byte + 32 : byte);
    }
    return String.bytesFrom(result);
}

function decoded(bytes) {
    const result = [];
    for (let at = 0; at < bytes.length; at++) {
        if (isEscape(bytes, at)) {
            result.push(parseInt(String.fromCharCode(bytes[at + 1], bytes[at + 2]), 16));
            at += 2;
        } else {
            result.push(bytes[at]);
        }
    }
    return String.bytesFrom(result);
}

function variable(r, name) {
    const value = r.rawVariables[name];
    return value === undefined || value === null ? Buffer.alloc(0) : value;
}

function applied(r, slot) {
    const argument = variable(r, "homeport_argument_" + slot);
    const colon = argument.indexOf(58);
    return functionOf(argument.slice(0, colon).toString(), argument.slice(colon + 1));
}

function functionOf(name, text) {
    switch (name) {
    case "ToLower":
        return lowered(text);
    case "UrlEncode":
        return encoded(text, UNRESERVED, false);
    case "UrlDecode":
        return decoded(text);
    default:
        return "";
    }
}

function hasScheme(path) {
    const colon = path.indexOf(58);
    return colon > 0 && /^[A-Za-z][A-Za-z0-9+.-]*$/.test(path.slice(0, colon).toString());
}

function slashes(path) {
    let count = 0;
    while (path[count] === SLASH) {
        count++;
    }
    return count;
}

// The address of a redirect; the variables are those that rewriting.py sets right before it.
function location(r) {
    const how = variable(r, "homeport_commit").toString().split(" ");
    let path = variable(r, "homeport_new");
    let query = variable(r, "homeport_carried");
    const current = variable(r, "args");
    const mark = how.indexOf("query") >= 0 ? path.indexOf(QUESTION_MARK) : -1;
    if (mark >= 0) {
        query = path.slice(mark + 1);
        path = path.slice(0, mark);
    }
    if (how.indexOf("append") >= 0 && current.length) {
        query = query.length ? Buffer.concat([query, Buffer.from("&"), current]) : current;
    }
    if (path[0] !== SLASH && !hasScheme(path)) {
        path = Buffer.concat([variable(r, "homeport_kept"), path]);
    }
    if (how.indexOf("host") < 0 && slashes(path) > 1) {
        // What a visitor writes must not name another host.
        path = path.slice(slashes(path) - 1);
    }
    const address = query.length ? Buffer.concat([path, Buffer.from("?"), query]) : path;
    return encoded(address, OF_ADDRESSES, true);
}

// Outbound rules: webconfig/rewriting/outbound.py says what they must come to, outbound.py writes what is read here.
// Every pattern has a budget of steps; this bounds how often patterns are tried for one answer.
const MOST_TRIALS = 300;

function applyRule(state, rule) {
    const name = rule.header.toLowerCase();
    const before = headerValues(state, name);
    const after = before.map((value) => changed(state, rule, name, value));
    if (!after.some((value) => value !== null)) {
        return false;
    }
    const values = after.map((value, at) => (value === null ? before[at] : value)).filter((value) => value.length);
    if (values.length || state.r.headersOut[rule.header] !== undefined) {
        const texts = values.map((value) => String.bytesFrom(value));
        state.r.headersOut[rule.header] = name === "set-cookie" ? texts : texts[0] || "";
    }
    return true;
}

function headerValues(state, name) {
    const found = state.r.headersOut[name];
    if (found === undefined || found.length === 0) {
        return [Buffer.alloc(0)];
    }
    if (name === "set-cookie") {
        return found.map((value) => Buffer.from(value));
    }
    return [Buffer.from(Array.isArray(found) ? found.join(",") : found)];
}

// What a value becomes; null where the rule does not match.
function changed(state, rule, name, value) {
    state.name = name;
    state.current = value;
    state.captured = { R: [], C: [] };
    if (!hold(state, rule.before, rule.beforeAny, false)) {
        return null;
    }
    state.captured = { R: [], C: [] };
    const found = matched(state, rule, value);
    if ((found === null) !== rule.negate) {
        return null;
    }
    if (found !== null) {
        state.captured.R = found;
    }
    if (!hold(state, rule.conditions, rule.any, rule.row)) {
        return null;
    }
    if (rule.value === null || (value.length && !rule.replace)) {
        return value;
    }
    const text = textOf(state, rule.value);
    return text.some((byte) => byte === 0 || byte === 10 || byte === 13) ? value : text;
}

function hold(state, conditions, any, row) {
    if (conditions.length === 0) {
        return true;
    }
    return any
        ? conditions.some((condition) => holds(state, condition, false))
        : conditions.every((condition) => holds(state, condition, row));
}

function holds(state, condition, row) {
    const found = matched(state, condition, textOf(state, condition.input));
    if (found === null || condition.negate) {
        return (found === null) === condition.negate;
    }
    const earlier = state.captured.C;
    state.captured.C = row ? found.slice(0, 1).concat(earlier.slice(1), found.slice(1)) : found;
    return true;
}

// The whole match and the groups that may be referred to; null where there is none.
function matched(state, pattern, value) {
    const variables = state.r.variables;
    variables.homeport_input = String.bytesFrom(value);
    const said = variables[pattern.matches];
    if ((said !== "0" && said !== "1") || ++state.trials > MOST_TRIALS) {
        throw new Error("the patterns of the outbound rules take too long");
    }
    if (said === "0") {
        return null;
    }
    const groups = [];
    for (let at = 0; at < pattern.groups; at++) {
        // nginx does not look at empty texts, so it captures nothing of them.
        groups.push(value.length ? variable(state.r, "homeport_o" + at) : value);
    }
    return groups;
}

function textOf(state, parts) {
    return Buffer.concat(parts.map((part) => partOf(state, part)));
}

function partOf(state, part) {
    if (typeof part === "string") {
        return Buffer.from(part);
    }
    if (part.R !== undefined || part.C !== undefined) {
        const groups = part.R === undefined ? state.captured.C : state.captured.R;
        return groups[part.R === undefined ? part.C : part.R] || Buffer.alloc(0);
    }
    if (part.header !== undefined) {
        return part.header === state.name ? state.current : joined(headerValues(state, part.header));
    }
    if (part.status !== undefined) {
        return Buffer.from(String(state.r.status));
    }
    if (part.map !== undefined) {
        state.r.variables.homeport_key = String.bytesFrom(textOf(state, part.key));
        return variable(state.r, part.map);
    }
    if (part.function !== undefined) {
        return Buffer.from(functionOf(part.function, textOf(state, part.of)));
    }
    const value = variable(state.r, part.variable);
    // On an error page of ours the URL is still the one that was asked for.
    const ours = part.variable === "uri" && value.slice(0, 11).toString() === "/.homeport/";
    return ours ? variable(state.r, "homeport_original") : value;
}

function joined(values) {
    const parts = [];
    values.forEach((value, at) => {
        if (at) {
            parts.push(Buffer.from(","));
        }
        parts.push(value);
    });
    return Buffer.concat(parts);
}

function outbound(r) {
    const text = r.variables.homeport_outbound;
    if (!text) {
        return;
    }
    try {
        const rules = JSON.parse(text);
        const state = { r, trials: 0, captured: { R: [], C: [] }, name: "", current: Buffer.alloc(0) };
        for (let at = 0; at < rules.length; at++) {
            if (applyRule(state, rules[at]) && rules[at].stop) {
                return;
            }
        }
    } catch (error) {
        // The answer is on its way: what the rules have changed so far stays.
        r.warn("outbound rules: " + error.message);
    }
}

const functions = { location, outbound };
for (let slot = 1; slot <= SLOTS; slot++) {
    functions["function_" + slot] = (r) => applied(r, slot);
}

export default functions;
