-- SPDX-FileCopyrightText: 2026 The usock developers
-- SPDX-License-Identifier: LGPL-2.1-or-later

-- What a program in Lua does first, by lgi, where usock has no overrides: both ends, descriptors,
-- errors, and nothing left open.

local lgi = require 'lgi'
local GLib, Gio = lgi.GLib, lgi.Gio
local Usock = lgi.require('Usock', '1')

local DEADLINE = 20 * (os.getenv 'USOCK_TEST_SLOW' and 30 or 1)

local function wait_for(condition, what)
  local last = GLib.get_monotonic_time() + DEADLINE * 1000000
  -- Of what another thread has closed the loop hears nothing.
  local tick = GLib.timeout_add(GLib.PRIORITY_DEFAULT, 10, function() return true end)
  while not condition() do
    assert(GLib.get_monotonic_time() < last, what .. ' did not happen in time')
    GLib.MainContext.default():iteration(true)
  end
  GLib.source_remove(tick)
end

-- Those of GLib, libffi and the reactor come when they are first needed.
local function open_fds()
  local fds = {}
  for fd = 0, 255 do
    local target = GLib.file_read_link(('/proc/self/fd/%d'):format(fd))
    if target and not target:match '^anon_inode:' and not target:match '/libffi[^/]*$' then
      fds[#fds + 1] = fd .. ' ' .. target
    end
  end
  return table.concat(fds, ', ')
end

-- What a channel emitted, in order: the last of whoever is watched is close.
local function watch(channel)
  local log = {}
  function channel:on_data(bytes) log[#log + 1] = 'data ' .. bytes end
  function channel:on_end() log[#log + 1] = 'end' end
  function channel:on_error(error) log[#log + 1] = error.message:match ': (.*)' end
  function channel:on_close() log[#log + 1] = 'close' end
  return log
end

local function equal(actual, expected)
  if actual ~= expected then
    error(('%q is not %q'):format(tostring(actual), tostring(expected)), 2)
  end
end

local function ends_with(log, expected)
  wait_for(function() return log[#log] == 'close' end, 'close after ' .. table.concat(log, ', '))
  equal(table.concat(log, ', '), expected)
end

local tests = {}

function tests.a_pair_is_a_conversation()
  local first, second = Usock.Seqpacket.new_pair()
  local log, other = watch(first), watch(second)

  -- A string is bytes, in both directions.
  first:send 'a\0b'
  first:send ''
  first:send_text 'grüße'
  second:send_bytes(GLib.Bytes 'answer')
  wait_for(function() return #log == 1 and #other == 3 end, 'all messages')
  first['end'](first)
  ends_with(other, 'data a\0b, data , data grüße, end, close')
  ends_with(log, 'data answer, end, close')
end

function tests.a_server_answers_and_gets_a_file(path)
  local server, served = Usock.Server { max_fds = 2 }
  local came, text

  function server:on_connection(channel)
    served = watch(channel)
    function channel:on_message(message)
      came = message:get_n_fds()
      for _, fd in ipairs(message:take_fds()) do
        local file = assert(io.open(('/proc/self/fd/%d'):format(fd)))
        text = file:read '*a'
        file:close()
        assert(GLib.close(fd))
      end
      channel:send('got ' .. message:dup_text())
    end
  end
  local closed
  function server:on_close() closed = true end
  assert(server:listen_on_path(path, 0))

  local client = Usock.Seqpacket()
  local log = watch(client)
  assert(client:connect_to_path(path))
  client:send 'nothing'
  wait_for(function() return #log == 1 end, 'an answer')
  equal(came, 0)

  local fd, name = GLib.file_open_tmp 'usock-XXXXXX'
  local file = io.open(name, 'w')
  file:write 'content'
  file:close()
  assert(os.remove(name))
  client:send_with_fds('a file', { fd, fd })
  assert(GLib.close(fd))
  wait_for(function() return #log == 2 end, 'the answer to a file')
  equal(came, 2)
  equal(text, 'content')

  client:close()
  ends_with(log, 'data got nothing, data got a file, close')
  ends_with(served, 'data nothing, data a file, end, close')
  server:close()
  wait_for(function() return closed end, 'the end of the server')
end

function tests.waiting_is_written_in_a_line()
  local first, second = Usock.Seqpacket.new_pair()
  local seen

  Gio.Async.start(function()
    local question = second:async_receive()
    second:async_send_message(Usock.Message.new(question:dup_text():upper()))
    local last, problem = second:async_receive()
    seen = { question:get_length(), last, problem }
  end)()
  local log = watch(first)
  first:send 'question'
  wait_for(function() return #log > 0 end, 'an answer')
  first['end'](first)
  ends_with(log, 'data QUESTION, end, close')
  wait_for(function() return seen end, 'the end')
  equal(seen[1], 8)
  equal(seen[2], nil)
  equal(seen[3], nil)
end

function tests.what_fails_returns_an_error(path)
  local channel = Usock.Seqpacket()
  local done, problem = channel:connect_to_path(path)

  equal(done, false)
  assert(problem:matches(Gio.IOErrorEnum, 'NOT_FOUND'))
  equal(problem.message, 'Could not connect to “' .. path .. '”: No such file or directory')

  local message = Usock.Message.new '\255'
  local text
  text, problem = message:dup_text()
  equal(text, nil)
  assert(problem:matches(Gio.IOErrorEnum, 'INVALID_DATA'))

  local first, second = Usock.Seqpacket.new_pair()
  done, problem = first:send_with_fds('nobody takes it', { 0 })
  -- Before Linux 6.16 a sender is not told.
  assert(done or problem:matches(Gio.IOErrorEnum, 'PERMISSION_DENIED'))

  local log = watch(first)
  first:send 'unread'
  second:close()
  ends_with(log, 'Connection reset by peer, close')
  done, problem = first:send 'too late'
  equal(done, false)
  assert(problem:matches(Gio.IOErrorEnum, 'CLOSED'))
end

local function run(body)
  local directory = GLib.Dir.make_tmp 'usock-XXXXXX'
  local before = open_fds()
  body(directory .. '/socket')
  wait_for(function() collectgarbage() return open_fds() == before end, 'the end of ' .. open_fds())
  assert(os.remove(directory))
end

local names = {}
for name in pairs(tests) do names[#names + 1] = name end
table.sort(names)

print('1..' .. #names)
local failed = false
for number, name in ipairs(names) do
  local well, problem = xpcall(function() run(tests[name]) end, debug.traceback)
  if not well then print((tostring(problem):gsub('^', '# '):gsub('\n', '\n# '))) end
  print(('%s %d %s'):format(well and 'ok' or 'not ok', number, name))
  failed = failed or not well
end
os.exit(failed and 1 or 0)
