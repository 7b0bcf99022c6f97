"""Names, streets and towns to draw from. Frequent ones: together they mean nobody."""

from typing import Final

FAMILIES: Final = (
    *("MARTIN", "BERNARD", "THOMAS", "PETIT", "ROBERT", "RICHARD", "DURAND", "DUBOIS", "MOREAU"),
    *("LAURENT", "SIMON", "MICHEL", "LEFEBVRE", "LEROY", "ROUX", "DAVID", "BERTRAND", "MOREL"),
    *("FOURNIER", "GIRARD", "BONNET", "DUPONT", "LAMBERT", "FONTAINE", "ROUSSEAU", "VINCENT"),
    *("MULLER", "LEFEVRE", "FAURE", "ANDRE", "MERCIER", "BLANC", "GUERIN", "BOYER", "GARNIER"),
    *("CHEVALIER", "FRANÇOIS", "LEGRAND", "GAUTHIER", "GARCIA", "PERRIN", "ROBIN", "CLEMENT"),
    *("MORIN", "NICOLAS", "HENRY", "ROUSSEL", "MATHIEU", "GAUTIER", "MASSON", "MARCHAND"),
    *("DUVAL", "DENIS", "DUMONT", "MARIE", "LEMAIRE", "NOËL", "MEYER", "DUFOUR", "MEUNIER"),
    *("BRUN", "BLANCHARD", "GIRAUD", "JOLY", "RIVIERE", "LUCAS", "BRUNET", "GAILLARD", "BARBIER"),
    *("ARNAUD", "MARTINEZ", "GÉRARD", "ROCHE", "RENARD", "SCHMITT", "ROY", "LEROUX", "COLIN"),
    *("VIDAL", "CARON", "PICARD", "ROGER", "FABRE", "AUBERT", "LEMOINE", "RENAUD", "DUMAS"),
    *("LACROIX", "OLIVIER", "PHILIPPE", "BOURGEOIS", "PIERRE", "BENOÎT", "REY", "LECLERC"),
    *("PAYET", "ROLLAND", "LECLERCQ", "GUILLAUME", "LECOMTE", "LOPEZ", "JEAN", "DUPUY", "N'GUYEN"),
)
WOMEN: Final = (
    *("MARIE", "JEANNE", "FRANÇOISE", "MONIQUE", "CATHERINE", "NATHALIE", "ISABELLE", "SYLVIE"),
    *("ANNE", "MARTINE", "JACQUELINE", "NICOLE", "CHRISTINE", "SOPHIE", "VALÉRIE", "SANDRINE"),
    *("CÉLINE", "STÉPHANIE", "AURÉLIE", "JULIE", "ÉMILIE", "CAMILLE", "LAURA", "MARINE", "MANON"),
    *("PAULINE", "ÉLODIE", "CHLOÉ", "LÉA", "SARAH", "INÈS", "JADE", "LOUISE", "ALICE", "AMBRE"),
    *("EMMA", "ROSE", "ANNA", "MARIE ODILE", "ANNE-SOPHIE", "FATIMA", "LINA", "ZOÉ", "JULIETTE"),
)
MEN: Final = (
    *("JEAN", "PIERRE", "MICHEL", "ANDRÉ", "PHILIPPE", "ALAIN", "BERNARD", "JACQUES", "DANIEL"),
    *("PATRICK", "ÉRIC", "CHRISTOPHE", "LAURENT", "FRÉDÉRIC", "STÉPHANE", "OLIVIER", "DAVID"),
    *("NICOLAS", "JULIEN", "SÉBASTIEN", "GUILLAUME", "THOMAS", "ALEXANDRE", "ANTOINE", "MAXIME"),
    *(
        "KÉVIN",
        "ROMAIN",
        "FLORIAN",
        "LUCAS",
        "HUGO",
        "ENZO",
        "LOUIS",
        "GABRIEL",
        "RAPHAËL",
        "JULES",
    ),
    *("ADAM", "ARTHUR", "LÉO", "NOÉ", "MOHAMED", "JEAN-BAPTISTE", "YANN", "TIMÉO", "PAUL"),
)
STREETS: Final = (
    *("rue des Essais", "place du Marché", "rue de l'Église", "avenue de la Gare", "rue Basse"),
    *("chemin des Vignes", "rue du Moulin", "impasse des Lilas", "route de la Forêt", "rue Neuve"),
    *("boulevard du Nord", "rue des Écoles", "allée des Tilleuls", "rue de la Fontaine"),
)
TOWNS: Final = (
    *(
        ("86000", "Poitiers"),
        ("86100", "Châtellerault"),
        ("79000", "Niort"),
        ("79300", "Bressuire"),
    ),
    *(
        ("17000", "La Rochelle"),
        ("17100", "Saintes"),
        ("17300", "Rochefort"),
        ("16000", "Angoulême"),
    ),
    *(("16100", "Cognac"), ("86400", "Civray"), ("79200", "Parthenay"), ("86500", "Montmorillon")),
)
