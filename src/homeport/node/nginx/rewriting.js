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
    const text = argument.slice(colon + 1);
    switch (argument.slice(0, colon).toString()) {
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

const functions = { location };
for (let slot = 1; slot <= SLOTS; slot++) {
    functions["function_" + slot] = (r) => applied(r, slot);
}

export default functions;
