-- wrk's half of scripts/bench.sh: posts Stripe events of 819 bytes (0.8 KiB), each with an id of its own and signed.
-- Arguments: SECRET TYPE RUN [DELAY_MS]. RUN is 8 hexadecimal digits that no earlier call had.

local ffi = require("ffi")
ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *hash, const void *key, int key_length, const unsigned char *data, size_t length,
                    unsigned char *mac, unsigned int *mac_length);
]]
-- wrk is linked with libcrypto for its own TLS, so its functions are at hand.
local crypto = ffi.C
local sha256 = crypto.EVP_sha256()
local tohex, bswap, time = bit.tohex, bit.bswap, os.time

local BODY_BYTES = 819
local threads = 0
local secret, head, middle, tail, run, sent

function setup(thread)
    thread:set("index", threads)
    threads = threads + 1
end

-- The parts of the body around the event's id, the time and the object's id.
local function template(event_type)
    head = '{"id":"evt_'
    middle = '","object":"event","api_version":"2026-09-30","created":'
    tail = '"object":"payment_intent","amount":1999,"amount_received":1999,"currency":"eur",'
        .. '"customer":"cus_bench","status":"succeeded","capture_method":"automatic","livemode":false,"description":"%s"}},'
        .. '"livemode":false,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":"' .. event_type .. '"}'
    local ids = 24 + 10 + #',"data":{"object":{"id":"pi_' + 24 + #'",'
    local filler = BODY_BYTES - #head - #middle - #tail + #"%s" - ids
    tail = tail:gsub("%%s", string.rep("x", filler))
end

function init(args)
    secret, run, sent = args[1], args[3], 0
    template(args[2])
    local pause = tonumber(args[4])
    if pause then
        function delay() return pause end
    end
end

-- Every number once, in an order that scatters over the index as the ids of a real provider do.
local function next_id()
    sent = sent + 1
    return tohex(tonumber(2654435769ULL * sent % 4294967296ULL)) .. tohex(index) .. run
end

local mac, mac_length = ffi.new("uint32_t[8]"), ffi.new("unsigned int[1]")
local function sign(text)
    crypto.HMAC(sha256, secret, #secret, text, #text, ffi.cast("unsigned char *", mac), mac_length)
    local hex = {}
    for i = 0, 7 do hex[i + 1] = tohex(bswap(mac[i])) end
    return table.concat(hex)
end

function request()
    local id, now = next_id(), tostring(time())
    local body = head .. id .. middle .. now .. ',"data":{"object":{"id":"pi_' .. id .. '",' .. tail
    return "POST " .. wrk.path .. " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nStripe-Signature: t="
        .. now .. ",v1=" .. sign(now .. "." .. body) .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

-- One line that the shell can read: answers with a 2xx, others, requests without an answer, seconds, percentiles.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("result ok=%d bad=%d lost=%d seconds=%.3f p50_ms=%.3f p99_ms=%.3f\n",
        summary.requests - errors.status, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
