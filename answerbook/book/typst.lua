-- What pandoc's Typst writer cannot know: our functions in template.typ, and Typst 0.15.

-- pandoc 3.9 writes symbol names that Typst 0.15 no longer has.
local renamed = {
  ["%f[%w]sect%f[%W]"] = "inter",
  ["%f[%w](%a+)%.circle"] = "%1.o",
  ["%f[%w](brac%a+%.[lr])%.double"] = "%1.stroked",
}

local function quoted(text)
  return '"' .. text:gsub('[\\"]', '\\%0') .. '"'
end

local function wrapped(before, blocks, after)
  local list = pandoc.Blocks { pandoc.RawBlock("typst", before) }
  list:extend(blocks)
  list:insert(pandoc.RawBlock("typst", after))
  return list
end

-- Our functions make no label of an element's identifier, but links may lead to it.
local function anchored(element, blocks)
  if element.identifier ~= "" then
    blocks:insert(1, pandoc.RawBlock("typst", "#metadata(none) #label(" .. quoted(element.identifier) .. ")"))
  end
  return blocks
end

-- PDF/UA wants alternative text for each equation; its TeX source is what screen readers' users know.
local function convert(math)
  local typst = pandoc.write(pandoc.Pandoc { pandoc.Plain { math } }, "typst")
  for old, new in pairs(renamed) do
    typst = typst:gsub(old, new)
  end
  typst = typst:gsub('([^(])"(%a+)"', '%1op("%2")') -- an operator's name, not a quoted text
  -- Typst would print the space between a word and its slash or parenthesis.
  typst = typst:gsub("\\/ upright", "\\/upright"):gsub('(upright%("[^"]*"%)) (\\?%()', "%1%2")
  local alt = math.text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local block = math.mathtype == "DisplayMath" and "true" or "false"
  typst = typst:gsub("^%$%s*", ""):gsub("%s*%$%s*$", "")
  return pandoc.RawInline(
    "typst", "#math.equation(block: " .. block .. ", alt: " .. quoted(alt) .. ", $" .. typst .. "$)"
  )
end

local converted = {}
function Math(math)
  local key = math.mathtype .. math.text -- most formulas occur many times
  converted[key] = converted[key] or convert(math)
  return converted[key]
end

function Link(link)
  local id = link.target:match("^#(.+)$")
  -- The class says how the page is printed (bare, entry, tagged), or the address (source).
  local call = link.classes[1] or (id and "xref" or "web")
  local list = pandoc.Inlines { pandoc.RawInline("typst", "#" .. call .. "(" .. quoted(id or link.target) .. ")[") }
  list:extend(link.content)
  list:insert(pandoc.RawInline("typst", "]"))
  return list
end

function CodeBlock(block)
  local list = pandoc.Blocks {}
  local name, runs = block.attributes.file, block.attributes.runs
  if name then list:insert(pandoc.RawBlock("typst", "#listing(" .. quoted(name) .. ")")) end
  local call = block.classes[1] == "output" and "#recorded" or "#code"
  list:extend(wrapped(
    call .. "(" .. quoted(runs) .. ")[", { pandoc.CodeBlock(block.text, { "", { block.classes[1] } }) }, "]"
  ))
  return list
end

function Header(header)
  if header.identifier:match("^part%-") then
    return { header, pandoc.RawBlock("typst", "#part-contents()") }
  end
end

function Table(tab)
  if tab.colspecs[1][2] then return wrapped("#wide[", { tab }, "]") end
end

function Figure(figure)
  local image
  figure.content:walk { Image = function(found) image = found end }
  if not image then return nil end
  return anchored(figure, wrapped(
    "#picture(" .. quoted(figure.attributes.number) .. ", " .. figure.attributes.opens .. ", "
      .. quoted("/" .. image.src) .. ", " .. quoted(pandoc.utils.stringify(image.caption)) .. ", [",
    figure.caption.long, "])"
  ))
end

function Div(div)
  local kind = div.classes[1]
  if kind == "front" then return wrapped("#front[", div.content, "]") end
  if kind == "meta" then return wrapped("#meta[", div.content, "]") end
  if kind == "index" then return wrapped("#index[", div.content, "]") end
  if kind == "columns" then return wrapped("#columns(2)[", div.content, "]") end
  if kind ~= "admonition" then return nil end
  local title = table.remove(div.content, 1)
  local list = pandoc.Blocks { pandoc.RawBlock("typst", "#admonition(" .. quoted(div.classes[2]) .. ", [") }
  list:insert(pandoc.Plain(title.content))
  list:insert(pandoc.RawBlock("typst", "])["))
  list:extend(div.content)
  list:insert(pandoc.RawBlock("typst", "]"))
  return anchored(div, list)
end
