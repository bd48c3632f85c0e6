/** States, provinces and regions as files name them: a column full of these is no status. Folded when they are compared. */
export const REGIONS: Readonly<Record<string, string>> = {
  'the United States':
    'Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Georgia, Hawaii, Idaho, Illinois, Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota, Mississippi, Missouri, Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina, North Dakota, Ohio, Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, Tennessee, Texas, Utah, Vermont, Virginia, Washington, West Virginia, Wisconsin, Wyoming, District of Columbia, Puerto Rico',
  Canada:
    'Alberta, British Columbia, Manitoba, New Brunswick, Newfoundland and Labrador, Nova Scotia, Ontario, Prince Edward Island, Quebec, Saskatchewan, Yukon, Nunavut, Northwest Territories',
  Australia:
    'New South Wales, Queensland, South Australia, Tasmania, Victoria, Western Australia, Northern Territory, Australian Capital Territory',
  'the United Kingdom':
    'England, Scotland, Wales, Northern Ireland, Greater London, Greater Manchester, Kent, Essex, Surrey, Sussex, East Sussex, West Sussex, Hampshire, Devon, Cornwall, Dorset, Somerset, Norfolk, Suffolk, Cambridgeshire, Oxfordshire, Berkshire, Buckinghamshire, Hertfordshire, Yorkshire, West Yorkshire, South Yorkshire, North Yorkshire, Lancashire, Merseyside, Cheshire, Derbyshire, Nottinghamshire, Leicestershire, Warwickshire, West Midlands, Tyne and Wear, Shropshire, Staffordshire, Worcestershire, Herefordshire, Northamptonshire, Bedfordshire, Rutland, Avon, Middlesex, East Yorkshire, County Durham, Isle of Wight, Huntingdonshire, Gloucestershire, Wiltshire, Lincolnshire, Northumberland, Cumbria',
  Germany:
    'Baden-Württemberg, Bayern, Berlin, Brandenburg, Bremen, Hamburg, Hessen, Mecklenburg-Vorpommern, Niedersachsen, Nordrhein-Westfalen, Rheinland-Pfalz, Saarland, Sachsen, Sachsen-Anhalt, Schleswig-Holstein, Thüringen, NRW',
  Austria: 'Burgenland, Kärnten, Niederösterreich, Oberösterreich, Salzburg, Steiermark, Tirol, Vorarlberg, Wien',
  Switzerland:
    'Aargau, Basel-Stadt, Basel-Landschaft, Bern, Freiburg, Genf, Glarus, Graubünden, Jura, Luzern, Neuenburg, Nidwalden, Obwalden, Schaffhausen, Schwyz, Solothurn, St. Gallen, Tessin, Thurgau, Uri, Waadt, Wallis, Zug, Zürich, Vaud, Valais, Genève, Ticino',
  France:
    'Auvergne-Rhône-Alpes, Bourgogne-Franche-Comté, Bretagne, Centre-Val de Loire, Corse, Grand Est, Hauts-de-France, Île-de-France, Normandie, Nouvelle-Aquitaine, Occitanie, Pays de la Loire, Provence-Alpes-Côte d’Azur, PACA, Aquitaine, Alsace, Lorraine, Rhône, Gironde, Hérault, Var, Alpes-Maritimes, Bouches-du-Rhône, Haute-Garonne, Loire-Atlantique, Ille-et-Vilaine, Nord, Bas-Rhin, Haut-Rhin, Yvelines, Val-de-Marne, Hauts-de-Seine, Seine-Saint-Denis, Isère, Haute-Savoie, Savoie, Finistère, Morbihan',
  Spain:
    'Andalucía, Aragón, Asturias, Baleares, Islas Baleares, Illes Balears, Canarias, Cantabria, Castilla y León, Castilla-La Mancha, Cataluña, Catalunya, Comunidad de Madrid, Comunidad Valenciana, Extremadura, Galicia, La Rioja, Madrid, Murcia, Navarra, País Vasco, Barcelona, Valencia, Sevilla, Málaga, Alicante, Cádiz, Granada, Córdoba, Huelva, Jaén, Almería, Zaragoza, Vizcaya, Bizkaia, Guipúzcoa, Gipuzkoa, Álava, Girona, Lleida, Tarragona, Castellón, Toledo, Salamanca, Valladolid, Burgos, León, A Coruña, Pontevedra, Lugo, Ourense, Las Palmas, Tenerife, Badajoz, Cáceres',
  Mexico:
    'Aguascalientes, Baja California, Baja California Sur, Campeche, Chiapas, Chihuahua, Ciudad de México, CDMX, Coahuila, Colima, Durango, Guanajuato, Guerrero, Hidalgo, Jalisco, Estado de México, México, Michoacán, Morelos, Nayarit, Nuevo León, Oaxaca, Puebla, Querétaro, Quintana Roo, San Luis Potosí, Sinaloa, Sonora, Tabasco, Tamaulipas, Tlaxcala, Veracruz, Yucatán, Zacatecas',
  'Argentina, Colombia, Chile and Peru':
    'Capital Federal, Chaco, Chubut, Corrientes, Formosa, Jujuy, La Pampa, Misiones, Río Negro, San Juan, San Luis, Santa Cruz, Santiago del Estero, Tierra del Fuego, Caldas, Risaralda, Quindío, Tolima, Huila, Nariño, Cauca, Meta, Boyacá, Norte de Santander, Magdalena, Cesar, Casanare, Bogotá D.C., Metropolitana, Coquimbo, Araucanía, La Araucanía, Los Lagos, Los Ríos, Maule, Ñuble, Antofagasta, Tarapacá, Atacama, Lima, Arequipa, Cusco, Piura, Lambayeque, Callao, Buenos Aires, CABA, Mendoza, Santa Fe, Tucumán, Entre Ríos, Salta, Neuquén, Antioquia, Cundinamarca, Bogotá, Valle del Cauca, Atlántico, Bolívar, Santander, Región Metropolitana, Valparaíso, Biobío',
  Portugal:
    'Aveiro, Beja, Braga, Bragança, Castelo Branco, Coimbra, Évora, Faro, Guarda, Leiria, Lisboa, Portalegre, Porto, Santarém, Setúbal, Viana do Castelo, Vila Real, Viseu, Açores, Madeira',
  Brazil:
    'Acre, Alagoas, Amapá, Amazonas, Bahia, Ceará, Distrito Federal, Espírito Santo, Goiás, Maranhão, Mato Grosso, Mato Grosso do Sul, Minas Gerais, Pará, Paraíba, Paraná, Pernambuco, Piauí, Rio de Janeiro, Rio Grande do Norte, Rio Grande do Sul, Rondônia, Roraima, Santa Catarina, São Paulo, Sergipe, Tocantins',
  Italy:
    'Abruzzo, Basilicata, Calabria, Campania, Emilia-Romagna, Friuli-Venezia Giulia, Lazio, Liguria, Lombardia, Marche, Molise, Piemonte, Puglia, Sardegna, Sicilia, Toscana, Trentino-Alto Adige, Umbria, Valle d’Aosta, Veneto, Roma, Milano, Torino, Napoli, Firenze, Bologna, Genova, Palermo, Bari, Verona, Venezia, Padova, Brescia, Bergamo, Como, Varese, Monza e Brianza, Modena, Parma',
  'the Netherlands and Belgium':
    'Drenthe, Flevoland, Friesland, Fryslân, Gelderland, Groningen, Limburg, Noord-Brabant, Noord-Holland, Overijssel, Utrecht, Zeeland, Zuid-Holland, Antwerpen, Oost-Vlaanderen, West-Vlaanderen, Vlaams-Brabant, Henegouwen, Luik, Namen, Waals-Brabant, Brussel',
}

/** What people live and work in, as far as one word says it: such values are types of property, not of people. Folded. */
export const DWELLINGS =
  'apartment apartments flat condo condominium house home townhouse townhome villa bungalow cottage loft studio duplex penthouse land lot commercial office retail warehouse farm ranch residential multifamily maisonette ' +
  'wohnung haus einfamilienhaus mehrfamilienhaus doppelhaushalfte reihenhaus eigentumswohnung grundstuck gewerbe buro maisonettewohnung dachgeschosswohnung ' +
  'appartement maison immeuble terrain bureau commerce pavillon hotelparticulier piso casa chalet apartamento atico adosado terreno solar local oficina finca departamento ' +
  'moradia quinta sobrado cobertura sala loja galpao appartamento villetta attico rustico bilocale trilocale quadrilocale monolocale capannone ufficio negozio ' +
  'woonhuis bovenwoning benedenwoning tussenwoning hoekwoning vrijstaand tweeondereenkap portiekflat kavel'

/** A yes or a no, in the languages of the suggestion. Folded. */
export const FLAGS =
  'yes no y n true false t f x ja nein j oui non o vrai faux si sim nao verdadero falso verdadeiro vero nee waar onwaar wahr falsch checked unchecked on off'

/** Genders as files name and shorten them. Folded. */
export const GENDERS =
  'm f w d x h v u male female man woman other diverse nonbinary unknown mannlich maennlich weiblich divers mann frau herr homme femme masculin feminin autre hombre mujer masculino femenino feminino outro otro maschio femmina uomo donna vrouw mannelijk vrouwelijk anders'

/** How companies sign: `Keller GmbH`, `Acme Realty LLC`. Compared as whole words, without full stops. */
export const LEGAL_FORMS =
  'gmbh ag kg ohg gbr ug mbh kgaa ek llc inc ltd limited corp corporation plc llp lp sa sas sarl eurl sci snc sl slu srl srls spa sapa bv nv vof cv lda ltda eireli unipessoal sociedade co company realty holdings'
