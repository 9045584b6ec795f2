-- Elements that HTML cannot express in a way that pandoc reads: clean_html.py marks them with a class.
function Span(span)
  local class = span.classes[1]
  if class == "tex" then return pandoc.Math("InlineMath", span.attributes.tex) end
  if class == "tex-display" then return pandoc.Math("DisplayMath", span.attributes.tex) end
  if class == "footnote" then return pandoc.Note { pandoc.Plain(span.content) } end
end
