-- As wrk.lua, with a pause between the requests of a connection: visitors instead of saturation.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("paced.lua$", "wrk.lua")))

function delay()
  return 40
end
