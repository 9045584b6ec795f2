-- What pandoc's EPUB writer cannot know: the colors that Pygments gave the code.
local function escaped(text)
  return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"))
end

function CodeBlock(block)
  local runs = {}
  for line in (block.attributes.runs .. "\n"):gmatch("(.-)\n") do table.insert(runs, line) end
  local lines, number = {}, 0
  for line in (block.text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local out, at = {}, 1
    for color, count in (runs[number] or ""):gmatch("(%a?_?)(%d+)") do
      local text = escaped(pandoc.text.sub(line, at, at + count - 1))
      table.insert(out, color == "_" and text or '<span class="' .. color .. '">' .. text .. "</span>")
      at = at + count
    end
    table.insert(lines, table.concat(out))
  end
  local name = block.attributes.file
  local title = name and '<p class="file">' .. escaped(name) .. "</p>" or ""
  local class = block.classes[1] == "output" and "output" or "code"
  return pandoc.RawBlock(
    "html", title .. '<pre class="' .. class .. '"><code>' .. table.concat(lines, "\n") .. "</code></pre>"
  )
end

-- Readers start each heading of level 1 and 2 on a new screen: right for chapters, not for the
-- sections of the introduction and the indexes.
function Div(div)
  if div.classes[1] ~= "front" then return nil end
  return div:walk { Header = function(header)
    if header.level == 2 then header.level = 3 end
    return header
  end }
end
